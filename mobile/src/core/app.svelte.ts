/**
 * What there is one of: who is signed in, the API, the database, the outbox, the stream. Screens read its state and call
 * its parts; they make none of their own.
 */

import { alerts } from '../native/alerts'
import { deviceName } from '../native/devicename'
import { isPhone, platform } from '../native/platform'
import { phone, phoneSigner } from '../native/phone'
import { listenForToken, subscription, unsubscribe } from '../native/push'
import { Api, type Incident, type User } from './api'
import { Auth, type State } from './auth'
import { Clock } from './clock'
import { Database } from './db'
import { browserSigner, forgetCredential, keepCredential } from './devicekey'
import { ApiError } from './errors'
import { rememberSignedIn, wasSignedIn } from './guess'
import { whenIdle } from './idle'
import { Live } from './live'
import { Outbox, type Entry, type Wanted } from './outbox'
import { Receipts } from './receipts'
import { Registration } from './registration'
import { Reports } from './report'
import { Unkept } from './unkept'
import { fullName } from './words'

export interface Follower {
  /** How an incident stands now: told by the stream, or the answer to what was done. */
  changed?: (incident: Incident, event: string) => void
  gone?: (id: string) => void
  /** Ask the gateway for lists again. */
  list?: () => void
}

class App {
  state = $state<State>('starting')
  user = $state.raw<User | null>(null)
  /** A session has ended by itself: the sign-in says so. */
  hasExpired = $state(false)
  entries = $state.raw<Entry[]>([])
  isLive = $state(false)
  /** Of a second factor that was set up by signing in: shown once. */
  recoveryCodes = $state.raw<readonly string[]>([])
  /** Whether the last request was answered: no event of the browser is relied on. */
  isOnline = $state(true)
  /** The corrected time, moved on each second: ages and countdowns follow it. */
  now = $state(Date.now())
  /** This device has no room left: what is done is in memory alone, and what is new is not kept. */
  isFull = $state(false)
  /** Why the gateway does not page this device, where it has said so. */
  pushError = $state.raw<unknown>(null)
  /** What this device is called, for its person. */
  deviceName = $state(deviceName())

  readonly clock = new Clock()
  readonly api = new Api(this.clock, isPhone ? 'app' : 'web')
  readonly reports = new Reports(this.api, this.clock, platform, __APP_VERSION__, () => this.state === 'signedIn')
  db!: Database
  auth!: Auth
  outbox!: Outbox
  live!: Live
  registration!: Registration
  receipts!: Receipts
  /** Nobody is signed in, most likely: a browser shows the sign-in while the database opens. */
  readonly isLikelyOut = !isPhone && !wasSignedIn()
  /** Before anything is asked of `auth`, `db` or `outbox` by a screen that is there while the app starts. */
  readonly ready: Promise<void>
  private begun!: (started: Promise<void>) => void
  private readonly followers = new Set<Follower>()
  private readonly names = new Map<string, string | null>()
  private leaving = false

  readonly roles = $derived(this.user?.roles ?? [])
  readonly isLead = $derived(this.roles.includes('lead') || this.roles.includes('admin'))
  readonly isAdmin = $derived(this.roles.includes('admin'))
  readonly waiting = $derived(this.entries.filter((entry) => entry.state === 'queued').length)
  readonly refused = $derived(this.entries.filter((entry) => entry.state === 'refused'))

  constructor() {
    this.ready = new Promise((done) => (this.begun = done))
    this.ready.catch(() => undefined) // whoever has called `start` says it
  }

  /** Once. Raises what the database raises. */
  start(): Promise<void> {
    const started = this.starting()
    this.begun(started)
    return started
  }

  private async starting(): Promise<void> {
    this.db = await Database.open(() => this.clock.now())
    this.db.unkept = new Unkept((isFull) => (this.isFull = isFull))
    const locks = (navigator as { locks?: LockManager }).locks
    // Asked at once with what follows: each answer of the database takes its time on a slow phone.
    const named = this.db.setting<string>('deviceName')
    this.api.base = (isPhone ? await this.db.setting<string>('server') : null) ?? ''
    this.api.heard = (ok) => this.heard(ok)
    this.auth = new Auth({
      api: this.api,
      db: this.db,
      clock: this.clock,
      phone: isPhone ? phone() : null,
      signer: isPhone ? phoneSigner : browserSigner(this.db),
      storeCredential: (deviceCredential, deviceId, userId) =>
        isPhone
          ? alerts.storeCredential({ deviceCredential, deviceId, userId, serverUrl: this.api.base })
          : keepCredential(this.db, deviceCredential, deviceId),
      deviceName: () => this.deviceName,
      changed: (state, user) => this.become(state, user),
      wiped: () => this.wiped(),
      locks,
    })
    this.api.tokens = this.auth
    this.receipts = new Receipts(this.db, this.api, this.clock)
    this.registration = new Registration({
      ...{ api: this.api, db: this.db, clock: this.clock, locks },
      device: () => ({ deviceId: this.auth.device, deviceName: this.deviceName, platform }),
      userId: () => this.auth.user?.id ?? null,
      told: (token) => alerts.confirmToken({ token }),
    })
    this.outbox = new Outbox({
      db: this.db,
      api: this.api,
      clock: this.clock,
      userId: () => this.auth.user?.id ?? null,
      nameOf: (id) => this.nameOf(id),
      accepted: (entry, incident) => {
        if (incident !== null) this.changed(incident, entry.action)
        else this.list()
        if (entry.attempts === 1) this.reports.timing('tap_to_committed', this.clock.raw() - Math.max(Date.parse(entry.occurredAt), entry.notBefore))
      },
      changed: (entries) => (this.entries = this.state === 'signedIn' ? entries : []),
      locks,
      channel: typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel('pager'),
    })
    this.live = new Live({
      address: () => streamAddress(this.api.base),
      token: () => this.auth.get(),
      renew: (refused) => this.auth.renew(refused),
      clock: this.clock,
      listener: {
        list: () => this.list(),
        told: (event, incident) => {
          void this.db.putIncidents([incident]).catch((error: unknown) => this.reports.error(error, 'db'))
          this.changed(incident, event)
        },
        gone: (id) => {
          void this.db.forgetIncident(id).catch((error: unknown) => this.reports.error(error, 'db'))
          for (const follower of this.followers) follower.gone?.(id)
        },
        live: (isLive) => {
          this.isLive = isLive
          if (isLive) this.heard(true)
        },
      },
    })
    const start = this.auth.start()
    this.deviceName = (await named) ?? deviceName()
    await start
    // Whatever is wrong with pushes: the app starts.
    void listenForToken((token) => void this.beTold(token)).catch((error: unknown) => this.reports.error(error, 'push'))
    setInterval(() => this.tick(), 1_000)
    document.addEventListener('visibilitychange', () => (document.visibilityState === 'visible' ? this.hurry() : this.leave()))
    addEventListener('pagehide', () => this.leave())
    addEventListener('online', () => this.hurry())
    addEventListener('focus', () => this.hurry())
    whenIdle(() => void this.db.trim().catch((error: unknown) => this.reports.error(error, 'db')))
  }

  /** Do something to an incident, now or as soon as there is a network. */
  async act(wanted: Wanted): Promise<Entry> {
    const entry = await this.outbox.add(wanted)
    void askForSync()
    return entry
  }

  /** Hear what becomes of incidents; the answer ends it. */
  follow(follower: Follower): () => void {
    this.followers.add(follower)
    return () => this.followers.delete(follower)
  }

  /** What time it is on all screens: each second, and where something comes that is younger than the last one. */
  tick(): void {
    this.now = this.clock.now()
  }

  /** Perhaps there is a network again, and certainly somebody looks. */
  hurry(): void {
    this.tick()
    if (this.state !== 'signedIn') return
    void this.outbox.flush(true)
    void this.receipts.flush()
    void this.register()
    this.live.hurry()
  }

  /** The app is put away, perhaps for good: what was done is sent while there is time, and by the service worker where there is none. */
  leave(): void {
    if (this.state !== 'signedIn') return
    void this.outbox.hasten()
    if (this.waiting > 0) void askForSync()
  }

  /** A token of this device for pushes: the gateway is told, now or as soon as it can be. */
  async beTold(token: string): Promise<void> {
    await this.registering(() => this.registration.tell(token))
  }

  /** A changed password ends what answers a page without the app, on all devices: this one says so and asks for no more. */
  async changePassword(current: string, wanted: string): Promise<void> {
    await this.auth.changePassword(current, wanted)
    if (isPhone) {
      await alerts.wipe()
      await alerts.register()
    } else await forgetCredential(this.db)
  }

  /** Somebody has removed this device: what it still hears of is nobody's. */
  async stopBeingPaged(): Promise<void> {
    await unsubscribe()
    await this.registration.forget()
  }

  async rename(name: string): Promise<void> {
    await this.db.set('deviceName', name)
    this.deviceName = name
    await this.registration.rename()
  }

  async useServer(address: string): Promise<void> {
    await this.db.set('server', address)
    this.api.base = address
  }

  async signOut(everywhere = false): Promise<boolean> {
    this.leaving = true
    try {
      return await this.auth.signOut(everywhere)
    } finally {
      this.leaving = false
    }
  }

  /** A person's name by their id, remembered for as long as the page is there; null where nobody says it to us. */
  async nameOf(id: string): Promise<string | null> {
    if (id === this.user?.id) return fullName(this.user)
    const known = this.names.get(id)
    if (known !== undefined) return known
    const { user } = await this.api.get('/api/v1/users/{id}', { path: { id }, timeout: 3_000 })
    const name = fullName(user)
    this.names.set(id, name)
    return name
  }

  private heard(ok: boolean): void {
    if (ok && !this.isOnline && this.state === 'signedIn') {
      this.isOnline = true
      this.hurry()
    }
    this.isOnline = ok
  }

  private changed(incident: Incident, event: string): void {
    for (const follower of this.followers) follower.changed?.(incident, event)
  }

  /** Ask the gateway for lists again. */
  list(): void {
    for (const follower of this.followers) follower.list?.()
  }

  private become(state: State, user: User | null): void {
    const before = this.state
    this.hasExpired = before === 'signedIn' && state === 'signedOut' && !this.leaving
    this.state = state
    this.user = user
    rememberSignedIn(state === 'signedIn')
    void this.outbox.tell()
    if (state === 'signedIn' && before !== 'signedIn') {
      this.live.start()
      void this.outbox.flush(true)
      void this.register()
    } else if (state === 'signedOut') {
      this.entries = []
      this.live.stop(true)
    }
  }

  /** A phone's token comes by itself; a browser's subscription may be another one than at its last start. */
  private async register(): Promise<void> {
    await this.registering(async () => {
      if (isPhone) {
        await alerts.register()
        return this.registration.renew()
      }
      const subscribed = await subscription()
      await (subscribed === null ? this.registration.forget() : this.registration.tell(subscribed))
    })
  }

  private async registering(work: () => Promise<void>): Promise<void> {
    try {
      await work()
      this.pushError = null
    } catch (error) {
      // Without a network it is told later; otherwise somebody has to know that nothing comes here.
      if (!(error instanceof ApiError)) this.reports.error(error, 'push')
      if (!(error instanceof ApiError && error.isTemporary)) this.pushError = error
    }
  }

  private async wiped(): Promise<void> {
    this.names.clear()
    this.pushError = null
    await alerts.wipe().catch((error: unknown) => this.reports.error(error, 'alerts'))
    await unsubscribe().catch((error: unknown) => this.reports.error(error, 'push'))
    const registration = await (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker?.getRegistration('/app/')
    for (const shown of (await registration?.getNotifications?.()) ?? []) shown.close()
  }
}

export { fullName } from './words'

/** There is one. */
export const app = new App()

export function streamAddress(base: string): string {
  const url = new URL('/api/v1/stream', base === '' ? location.href : base)
  url.protocol = url.protocol === 'http:' ? 'ws:' : 'wss:'
  return url.href
}

/** The service worker sends what waits where the browser has background sync, also while no page is open. */
async function askForSync(): Promise<void> {
  try {
    const worker = await (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker?.getRegistration('/app/')
    await (worker as { sync?: { register(tag: string): Promise<void> } } | undefined)?.sync?.register('outbox')
  } catch {
    // Not allowed, or not there: the timer and the next look at the page do the same.
  }
}

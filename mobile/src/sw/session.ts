/** The app's own API, database, session and outbox, in a service worker. */

import { Api } from '../core/api'
import { Auth } from '../core/auth'
import { Clock } from '../core/clock'
import { Database } from '../core/db'
import { fullName } from '../core/words'
import { Outbox } from '../core/outbox'
import { Receipts } from '../core/receipts'
import { Registration } from '../core/registration'
import { browserSigner, hasCredential, keepCredential } from '../core/devicekey'
import { deviceName } from '../native/devicename'
import { Doors } from './doors'
import type { Session } from './pushes'

/** A tab that was frozen with the lock must not keep an acknowledgement for ever. */
const LOCKED_FOR = 10_000
const REMEMBERED = 100
const SEEN = 'pushSeen'

interface Parts {
  clock?: Clock
  api?: Api
  locks?: LockManager | undefined
  open?: (clock: Clock) => Promise<Database>
}

/** One for each person: a worker that lives on while somebody else signs in must not act for whoever was there before. */
export class WorkerSessions {
  private readonly clock: Clock
  private readonly api: Api
  private db: Database | null = null
  private made: { person: string | null; isSignedIn: boolean; session: WorkerSession } | null = null
  private opening: Promise<Session> | null = null

  constructor(private readonly parts: Parts = {}) {
    this.clock = parts.clock ?? new Clock()
    this.api = parts.api ?? new Api(this.clock, 'web')
  }

  /** As it stands now. Raises what the database raises. */
  get(): Promise<Session> {
    this.opening ??= this.current()
      .catch((error: unknown) => {
        // A newer version of the app has changed the database under this connection: the next one is another.
        this.db = null
        throw error
      })
      .finally(() => {
        this.opening = null
      })
    return this.opening
  }

  private async current(): Promise<Session> {
    const db = (this.db ??= await (this.parts.open ?? ((clock) => Database.open(() => clock.now())))(this.clock))
    const [person, user] = [await db.setting<string>('lastUserId'), await db.setting('user')]
    const isSignedIn = user !== null
    if (this.made?.person !== person || this.made.isSignedIn !== isSignedIn) {
      this.made?.session.stop()
      const session = new WorkerSession(db, this.api, this.clock, person, this.parts.locks)
      await session.start()
      this.made = { person, isSignedIn, session }
    }
    return this.made.session
  }
}

class WorkerSession implements Session {
  private readonly auth: Auth
  private readonly outbox: Outbox
  private readonly receipts: Receipts
  private readonly channel = typeof BroadcastChannel === 'undefined' ? undefined : new BroadcastChannel('pager')

  constructor(
    private readonly db: Database,
    private readonly api: Api,
    private readonly clock: Clock,
    private readonly who: string | null,
    private readonly locks?: LockManager,
  ) {
    this.auth = new Auth({
      ...{ api, db, clock, locks },
      phone: null,
      signer: browserSigner(db),
      storeCredential: (credential, deviceId) => keepCredential(db, credential, deviceId),
      deviceName: () => deviceName(),
      changed: () => undefined,
      wiped: async () => undefined,
    })
    api.tokens = this.auth
    const doors = new Doors(db, clock, api)
    this.outbox = new Outbox({
      ...{ db, clock, api: doors },
      userId: () => who,
      nameOf: async (id) => fullName((await api.get('/api/v1/users/{id}', { path: { id }, timeout: 3_000 })).user),
      accepted: () => undefined,
      changed: () => undefined,
      locks: patient(locks),
      channel: this.channel,
    })
    this.receipts = new Receipts(db, doors, clock)
  }

  async start(): Promise<void> {
    await this.auth.start()
  }

  stop(): void {
    this.outbox.stop()
  }

  person(): Promise<string | null> {
    return Promise.resolve(this.who)
  }

  async canSend(): Promise<boolean> {
    return this.auth.state === 'signedIn' || (await hasCredential(this.db))
  }

  now(): number {
    return this.clock.now()
  }

  add(wanted: Parameters<Outbox['add']>[0]) {
    return this.outbox.keep(wanted)
  }

  entry(id: string) {
    return this.db.entry(id)
  }

  async flush(): Promise<void> {
    await this.outbox.flush(true)
    await this.receipts.flush()
  }

  isUndoable(): Promise<boolean> {
    return this.outbox.isUndoable()
  }

  async hasten(): Promise<void> {
    await this.outbox.hasten()
  }

  async hasSeen(notificationId: string): Promise<boolean> {
    return ((await this.db.setting<string[]>(SEEN)) ?? []).includes(notificationId)
  }

  async remember(notificationId: string): Promise<void> {
    const seen = (await this.db.setting<string[]>(SEEN)) ?? []
    if (!seen.includes(notificationId)) await this.db.set(SEEN, [...seen, notificationId].slice(-REMEMBERED))
  }

  async receipt(...said: Parameters<Receipts['say']>): Promise<void> {
    await this.receipts.say(...said)
  }

  async resubscribed(token: string | null): Promise<void> {
    const kept = (await this.db.setting<string>('deviceName')) ?? deviceName()
    const registration = new Registration({
      ...{ api: this.api, db: this.db, clock: this.clock, locks: this.locks },
      device: () => ({ deviceId: this.auth.device, deviceName: kept, platform: 'web' }),
      userId: () => this.auth.user?.id ?? null,
    })
    await (token === null ? registration.forget() : registration.tell(token))
  }
}

/** Where a page is sending, it is waited for: what somebody is told after that has to be what became of it. */
function patient(locks: LockManager | undefined): LockManager | undefined {
  if (locks === undefined) return undefined
  const request = (name: string, _options: LockOptions, work: LockGrantedCallback<unknown>) =>
    locks.request(name, { signal: AbortSignal.timeout(LOCKED_FOR) }, work)
  return { request, query: () => locks.query() } as unknown as LockManager
}

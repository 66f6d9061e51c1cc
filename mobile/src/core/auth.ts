/**
 * Who is signed in. The access token is in memory alone. A browser goes on with an HttpOnly cookie, a phone with a
 * refresh token in its secure storage. Both are bound to a key that cannot be read (docs/adr/0061). No script of a page
 * sees what the proof is about: the gateway says its hash.
 */

import type { Api, Schemas, Tokens, User } from './api'
import type { Clock } from './clock'
import type { Database } from './db'
import { ApiError } from './errors'
import { type DeviceSigner, challengeOf, prove, proveHash, base64url } from './proofs'

type SignedIn = Schemas['SignedInView']
export type State = 'starting' | 'signedOut' | 'signedIn'

export interface SecureStore {
  get(name: string): Promise<string | null>
  set(name: string, value: string): Promise<void>
  remove(name: string): Promise<void>
}

export interface Phone {
  platform: 'ios' | 'android'
  store: SecureStore
}

export interface Surroundings {
  api: Api
  db: Database
  clock: Clock
  /** null: a browser. */
  phone: Phone | null
  /** null: this browser keeps no keys, and its session is not bound to one. */
  signer: DeviceSigner | null
  /** For the acknowledgement without the app. */
  storeCredential(credential: string, deviceId: string, userId: string): Promise<void>
  deviceName: () => string
  changed: (state: State, user: User | null) => void
  /** Everything else of a person goes: notifications, caches, the badge. */
  wiped: () => Promise<void>
  locks?: LockManager | undefined
}

export interface Credentials {
  email: string
  password: string
  totp?: string
  captcha?: string
  /** The device or session that this one takes the place of. */
  replace?: string
}

/** What stays on the device when somebody signs out. */
export const OF_THE_DEVICE = ['deviceId', 'deviceName', 'server', 'theme', 'language'] as const
const REFRESH = 'refresh'
/** A token is renewed so long before it ends. */
const EARLY = 30_000
const LOCK = 'pager-refresh'

export class Auth implements Tokens {
  user: User | null = null
  state: State = 'starting'
  private access: { token: string; until: number } | null = null
  private renewing: Promise<string | null> | null = null
  private deviceId = ''

  constructor(private readonly at: Surroundings) {}

  /** Whoever was signed in here still is, also without a network: the first request finds out more. */
  async start(): Promise<void> {
    const { db } = this.at
    const [known, user] = await Promise.all([db.setting<string>('deviceId'), db.setting<User>('user')])
    this.deviceId = known ?? crypto.randomUUID()
    if (known === null) await db.set('deviceId', this.deviceId)
    this.become(user === null ? 'signedOut' : 'signedIn', user)
  }

  get device(): string {
    return this.deviceId
  }

  async get(): Promise<string | null> {
    if (this.access !== null && this.at.clock.raw() < this.access.until - EARLY) return this.access.token
    return this.state === 'signedIn' ? this.refreshed() : null
  }

  async renew(refused: string): Promise<string | null> {
    if (this.access !== null && this.access.token !== refused) return this.access.token
    this.access = null
    return this.refreshed()
  }

  /** Raises ApiError; CONFLICT with `details.devices` asks which of them goes, SECOND_FACTOR_REQUIRED for a code. */
  async signIn(given: Credentials): Promise<SignedIn> {
    const known = await this.asDevice()
    const { signer, clock } = this.at
    const isProven = signer !== null && 'deviceKey' in known
    const proof = isProven ? { proof: await prove(signer, clock, given.email) } : {}
    const data = await this.at.api.post('/api/v1/auth/login', { body: { ...given, ...known, ...proof }, token: 'none' })
    await this.begin(data)
    return data
  }

  /** An account by an invite, and signed in with it. */
  async register(given: { inviteToken: string; password: string; firstName: string; lastName: string }): Promise<boolean> {
    const body = { ...given, ...(await this.asDevice()) }
    const data = await this.at.api.post('/api/v1/auth/register', { body, token: 'none' })
    if (data.tokens === undefined || data.tokens === null) return false
    await this.begin({ ...data, tokens: data.tokens })
    return true
  }

  /** Where a browser goes to sign in at the provider; the verifier is kept until it comes back. */
  async oidcAddress(redirectUri: string): Promise<string> {
    const verifier = base64url(crypto.getRandomValues(new Uint8Array(32)))
    await this.at.db.set('oidcVerifier', verifier)
    const asked = new URLSearchParams({
      deviceId: this.deviceId,
      redirectUri,
      codeChallenge: await challengeOf(verifier),
    })
    return `${this.at.api.base}/api/v1/auth/oidc/start?${asked.toString()}`
  }

  async finishOidc(code: string, more: { totp?: string; replace?: string } = {}): Promise<SignedIn> {
    const codeVerifier = await this.at.db.setting<string>('oidcVerifier')
    if (codeVerifier === null) throw new ApiError(401, 'SIGNED_OUT', 'this sign-in was not begun here')
    const body = { code, codeVerifier, ...(await this.asDevice()), ...more }
    const data = await this.at.api.post('/api/v1/auth/oidc/token', { body, token: 'none' })
    await this.at.db.set('oidcVerifier', null)
    await this.begin(data)
    return data
  }

  /** Here or everywhere. Without a network it is signed out here alone: `false`, and the screen says so. */
  async signOut(everywhere = false): Promise<boolean> {
    let told = true
    try {
      await this.at.api.post('/api/v1/auth/logout', { body: { deviceId: this.deviceId, allDevices: everywhere } })
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      told = error.status === 401
      if (everywhere && !told) throw error // they think that it is over everywhere
    }
    await this.wipe()
    this.become('signedOut', null)
    return told
  }

  /** The session goes on with the tokens of the answer; all others of this person end. Raises ApiError. */
  async changePassword(currentPassword: string, newPassword: string): Promise<void> {
    const { tokens } = await this.at.api.post('/api/v1/auth/password/change', { body: { currentPassword, newPassword } })
    await this.take(tokens)
  }

  /** The profile was changed, or read anew. */
  async know(user: User): Promise<void> {
    await this.at.db.set('user', user)
    this.become('signedIn', user)
  }

  private async asDevice() {
    const { phone, signer, deviceName } = this.at
    const device = { deviceId: this.deviceId, deviceName: deviceName(), platform: phone?.platform ?? ('web' as const) }
    const deviceKey = (await signer?.publicKey()) ?? null
    return deviceKey === null ? device : { ...device, deviceKey }
  }

  private async begin(data: Pick<SignedIn, 'user' | 'tokens' | 'deviceCredential'>): Promise<void> {
    // A session that ran out keeps everything; only another person's sign-in takes it away.
    const before = await this.at.db.setting<string>('lastUserId')
    if (before !== null && before !== data.user.id) await this.wipe({ keepKey: true })
    await this.at.db.set('lastUserId', data.user.id)
    await this.take(data.tokens)
    if (typeof data.deviceCredential === 'string') await this.at.storeCredential(data.deviceCredential, this.deviceId, data.user.id)
    await this.know(data.user)
  }

  private async take(tokens: Schemas['Tokens']): Promise<string> {
    // Kept before it is used: whoever dies in between shows the one before it, and is answered the same again.
    if (this.at.phone !== null && typeof tokens.refreshToken === 'string') {
      await this.at.phone.store.set(REFRESH, tokens.refreshToken)
    }
    const lasts = Math.min(Math.max(tokens.expiresIn, 1), 24 * 3600) * 1_000
    this.access = { token: tokens.accessToken, until: this.at.clock.raw() + lasts }
    return tokens.accessToken
  }

  /** One refresh at a time, whoever asks. */
  private refreshed(): Promise<string | null> {
    this.renewing ??= this.alone(() => this.refresh()).finally(() => {
      this.renewing = null
    })
    return this.renewing
  }

  /** Tabs share a cookie: one after the other. */
  private alone(work: () => Promise<string | null>): Promise<string | null> {
    const locks = this.at.phone === null ? this.at.locks : undefined
    if (locks === undefined) return work()
    return new Promise((done, failed) => void locks.request(LOCK, () => work().then(done, failed)))
  }

  private async refresh(): Promise<string | null> {
    const { phone, signer, clock } = this.at
    const kept = phone === null ? null : await phone.store.get(REFRESH)
    if (phone !== null && kept === null) return this.over()
    try {
      if (kept !== null) return await this.renewed(kept, signer === null ? {} : { proof: await prove(signer, clock, kept) })
      try {
        return await this.renewed('none')
      } catch (error) {
        const ath = error instanceof ApiError && error.status === 401 ? error.details.ath : undefined
        if (signer === null || typeof ath !== 'string') throw error
        return await this.renewed('none', { proof: await proveHash(signer, clock, ath) })
      }
    } catch (error) {
      // Without a network, or without a proof that was wanted, nothing has ended.
      const isOver = error instanceof ApiError && error.status === 401 && error.details.field !== 'proof'
      if (!isOver) throw error
      return this.over()
    }
  }

  private async renewed(token: string, proof: { proof?: string } = {}): Promise<string> {
    const body = { deviceId: this.deviceId, ...proof }
    return this.take((await this.at.api.post('/api/v1/auth/refresh', { body, token })).tokens)
  }

  /** The session is over. What was done and not sent yet waits for the same person. */
  private async over(): Promise<null> {
    this.access = null
    await this.at.phone?.store.remove(REFRESH)
    await this.at.db.set('user', null)
    this.become('signedOut', null)
    return null
  }

  private async wipe({ keepKey = false } = {}): Promise<void> {
    this.access = null
    if (!keepKey) await this.at.phone?.store.remove(REFRESH)
    await this.at.db.wipe(OF_THE_DEVICE, { keys: keepKey })
    await this.at.wiped()
  }

  private become(state: State, user: User | null): void {
    this.state = state
    this.user = user
    this.at.changed(state, user)
  }
}

import { beforeEach, describe, expect, it, vi, type Mock } from 'vitest'
import type { User } from '../../src/core/api'
import { Auth, type Phone, type State } from '../../src/core/auth'
import type { Database } from '../../src/core/db'
import { askAsDevice, browserSigner, keepCredential } from '../../src/core/devicekey'
import { fromBase64url, type DeviceSigner } from '../../src/core/proofs'
import { Gateway, MovedClock, ok, openDatabase, refused } from './tools'

const user = { id: 'u1', email: 'ana@pager.test', firstName: 'Ana', lastName: 'A', roles: ['user'] }
const tokens = (n: number, refresh = true) => ({ accessToken: `a${n}`, expiresIn: 900, ...(refresh ? { refreshToken: `r${n}` } : {}) })

let db: Database
let moved: MovedClock
let gateway: Gateway
let changed: Mock<(state: State, user: User | null) => void>
let wiped: Mock<() => Promise<void>>
let kept: Map<string, string>

const storeCredential = vi.fn(async () => undefined)

function auth(phone: (Phone & { signer: DeviceSigner }) | null = null, signer = phone?.signer ?? null): Auth {
  const api = gateway.api(moved.clock, phone === null ? 'web' : 'app')
  const made = new Auth({ api, db, clock: moved.clock, phone, signer, storeCredential, deviceName: () => 'Test', changed, wiped })
  api.tokens = made
  return made
}

async function aPhone(): Promise<Phone & { signer: DeviceSigner; pair: CryptoKeyPair }> {
  const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify'])
  const signer: DeviceSigner = {
    publicKey: async () => (await crypto.subtle.exportKey('jwk', pair.publicKey)) as never,
    sign: async (bytes) => new Uint8Array(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, bytes)),
  }
  const store = {
    get: async (name: string) => kept.get(name) ?? null,
    set: async (name: string, value: string) => void kept.set(name, value),
    remove: async (name: string) => void kept.delete(name),
  }
  return { platform: 'ios', signer, store, pair }
}

function claimsOf(body: unknown): Record<string, unknown> {
  const [, claims = ''] = String((body as { proof?: string }).proof).split('.')
  return JSON.parse(new TextDecoder().decode(fromBase64url(claims))) as Record<string, unknown>
}

beforeEach(async () => {
  db = await openDatabase()
  moved = new MovedClock()
  gateway = new Gateway()
  changed = vi.fn()
  wiped = vi.fn(async () => undefined)
  kept = new Map()
})

describe('a browser', () => {
  it('signs in, keeps no refresh token, and is still signed in after a reload without a network', async () => {
    gateway.answer(ok({ user, tokens: tokens(1, false) }), 'network')
    const made = auth()
    await made.start()
    expect(made.state).toBe('signedOut')
    await made.signIn({ email: user.email, password: 'x' })
    expect(gateway.asked[0]?.body).toMatchObject({ platform: 'web', deviceId: made.device })
    expect(gateway.asked[0]?.body).not.toHaveProperty('deviceKey')
    expect(await made.get()).toBe('a1')
    const after = auth()
    await after.start()
    expect([after.state, after.user?.firstName, after.device]).toEqual(['signedIn', 'Ana', made.device])
    await expect(after.get()).rejects.toMatchObject({ code: 'NETWORK' })
    expect(after.state).toBe('signedIn')
  })

  it('renews once for all who ask, before the token ends, and one tab after the other', async () => {
    await db.set('user', user)
    const locks = { request: vi.fn(async (_name: string, work: () => Promise<unknown>) => work()) }
    gateway.answer(ok({ tokens: tokens(1, false) }), ok({ tokens: tokens(2, false) }))
    const api = gateway.api(moved.clock)
    const made = new Auth({ api, db, clock: moved.clock, phone: null, signer: null, storeCredential, deviceName: () => 'Test', changed, wiped, locks: locks as never })
    await made.start()
    expect(await Promise.all([made.get(), made.get(), made.renew('old')])).toEqual(['a1', 'a1', 'a1'])
    expect(gateway.asked).toHaveLength(1)
    expect(locks.request).toHaveBeenCalledOnce()
    expect(await made.renew('old')).toBe('a1') // another one has come since
    moved.move(880_000)
    expect(await made.get()).toBe('a2')
  })

  it('an ended session keeps what was done, and the same person goes on with it', async () => {
    await db.set('user', user)
    await db.set('lastUserId', 'u1')
    await db.set('mine', 1)
    gateway.answer(refused(401, 'UNAUTHENTICATED'), ok({ user, tokens: tokens(1, false) }))
    const made = auth()
    await made.start()
    expect(await made.get()).toBeNull()
    expect(made.state).toBe('signedOut')
    await made.signIn({ email: user.email, password: 'x' })
    expect(await db.setting('mine')).toBe(1)
    expect(wiped).not.toHaveBeenCalled()
  })

  it.each([401, 403, 200])('what a hotel’s network says in the place of the gateway (%i) ends no session', async (status) => {
    gateway.answer(ok({ user, tokens: tokens(1, false) }), { status, body: '<html>Log in to the WiFi</html>' })
    const made = auth()
    await made.start()
    await made.signIn({ email: user.email, password: 'x' })
    moved.move(900_000)
    await expect(made.get()).rejects.toMatchObject({ code: 'BAD_ANSWER' })
    expect([made.state, (await db.setting<User>('user'))?.id]).toEqual(['signedIn', user.id])
  })

  it('another person gets nothing of the last one', async () => {
    await db.set('lastUserId', 'u0')
    await db.set('mine', 1)
    gateway.answer(ok({ user, tokens: tokens(1, false) }))
    const made = auth()
    await made.start()
    await made.signIn({ email: user.email, password: 'x' })
    expect(await db.setting('mine')).toBeNull()
    expect(await db.setting('deviceId')).toBe(made.device)
    expect(wiped).toHaveBeenCalledOnce()
    expect(await made.get()).toBe('a1')
  })
})

describe('a browser with a key', () => {
  it('is bound to it, proves what the gateway says its cookie is, and answers a page without a session', async () => {
    gateway.answer(
      ok({ user, tokens: tokens(1, false), deviceCredential: 'c' }),
      refused(401, 'UNAUTHENTICATED', { field: 'proof', ath: 'hash-of-the-cookie' }),
      ok({ tokens: tokens(2, false) }),
    )
    const made = auth(null, browserSigner(db))
    await made.start()
    await made.signIn({ email: user.email, password: 'x' })
    expect(gateway.asked[0]?.body).toMatchObject({ platform: 'web', deviceKey: { crv: 'P-256' } })
    expect(storeCredential).toHaveBeenCalledWith('c', made.device, 'u1')
    expect(await made.renew('a1')).toBe('a2')
    expect(gateway.asked[1]?.body).not.toHaveProperty('proof')
    expect(claimsOf(gateway.asked[2]?.body)).toMatchObject({ aud: 'pager', ath: 'hash-of-the-cookie' })

    const send = vi.fn(async (..._given: Parameters<typeof fetch>) => new Response('{}'))
    expect(await askAsDevice(db, moved.clock, 'GET', '/api/v1/incidents?status=created', { send })).toBeNull()
    await keepCredential(db, 'c', made.device)
    await askAsDevice(db, moved.clock, 'POST', '/api/v1/incidents/i1/acknowledge', { body: {}, idempotencyKey: 'k', send })
    await askAsDevice(db, moved.clock, 'GET', '/api/v1/incidents?status=created', { send })
    const headers = send.mock.calls.map(([, init]) => init?.headers as Record<string, string>)
    expect(headers[0]).toMatchObject({ Authorization: 'Bearer c', 'Idempotency-Key': 'k', 'Content-Type': 'application/json' })
    expect(claimsOf({ proof: headers[0]?.['Pager-Proof'] })).toMatchObject({ htm: 'POST', htu: '/api/v1/incidents/i1/acknowledge' })
    expect(claimsOf({ proof: headers[1]?.['Pager-Proof'] })).toMatchObject({ htm: 'GET', htu: '/api/v1/incidents' })
  })

  it('another person who signs in on it keeps the key that they were bound to, and signing out takes it away', async () => {
    await db.set('lastUserId', 'u0')
    gateway.answer(ok({ user, tokens: tokens(1, false) }), ok({}))
    const made = auth(null, browserSigner(db))
    await made.start()
    await made.signIn({ email: user.email, password: 'x' })
    expect(await db.key('device')).not.toBeNull()
    await made.signOut()
    expect(await db.key('device')).toBeNull()
  })

  it('goes on without one where none can be kept', async () => {
    vi.spyOn(db, 'putKey').mockRejectedValue(new DOMException('no', 'DataCloneError'))
    gateway.answer(ok({ user, tokens: tokens(1, false) }), refused(401, 'UNAUTHENTICATED', { field: 'proof' }))
    const made = auth(null, browserSigner(db))
    await made.start()
    await made.signIn({ email: user.email, password: 'x' })
    expect(gateway.asked[0]?.body).not.toHaveProperty('deviceKey')
    await expect(made.renew('a1')).rejects.toMatchObject({ status: 401 })
    await expect(browserSigner(db)?.sign(new Uint8Array(1))).rejects.toThrow('gone')
    vi.stubGlobal('crypto', {})
    expect(browserSigner(db)).toBeNull()
    vi.unstubAllGlobals()
  })
})

describe('a phone', () => {
  it('is bound to its key, proves each refresh anew, and keeps the token before it uses it', async () => {
    const phone = await aPhone()
    gateway.answer(ok({ user, tokens: tokens(1), deviceCredential: 'c' }), ok({ tokens: tokens(2) }))
    const made = auth(phone)
    await made.start()
    await made.signIn({ email: user.email, password: 'x' })
    expect(kept.get('refresh')).toBe('r1')
    expect(storeCredential).toHaveBeenCalledWith('c', made.device, 'u1')
    expect(await made.renew('a1')).toBe('a2')
    expect(kept.get('refresh')).toBe('r2')
    const [signIn, refresh] = gateway.asked
    expect(refresh?.headers.get('Authorization')).toBe('Bearer r1')
    expect(signIn?.body).toHaveProperty('deviceKey.crv', 'P-256')
    const claims = await Promise.all(
      [signIn, refresh].map(async (asked) => {
        const [header, body, signature] = (asked?.body as { proof: string }).proof.split('.')
        const signed = new TextEncoder().encode(`${header}.${body}`)
        const algorithm = { name: 'ECDSA', hash: 'SHA-256' }
        expect(await crypto.subtle.verify(algorithm, phone.pair.publicKey, fromBase64url(signature!), signed)).toBe(true)
        expect(JSON.parse(new TextDecoder().decode(fromBase64url(header!)))).toEqual({ typ: 'pager-proof+jwt', alg: 'ES256' })
        return JSON.parse(new TextDecoder().decode(fromBase64url(body!))) as Record<string, unknown>
      }),
    )
    expect(claims[1]).toMatchObject({ aud: 'pager', iat: moved.clock.seconds() })
    expect(claims[0]?.['ath']).not.toBe(claims[1]?.['ath'])
    expect(claims[0]?.['jti']).not.toBe(claims[1]?.['jti'])
  })

  it('a proof that was wanted ends nothing', async () => {
    await db.set('user', user)
    kept.set('refresh', 'r1')
    gateway.answer(refused(401, 'UNAUTHENTICATED', { field: 'proof' }))
    const made = auth(await aPhone())
    await made.start()
    await expect(made.get()).rejects.toMatchObject({ status: 401 })
    expect([made.state, kept.get('refresh')]).toEqual(['signedIn', 'r1'])
  })

  it('without a refresh token nobody is signed in', async () => {
    await db.set('user', user)
    const made = auth(await aPhone())
    await made.start()
    expect(await made.get()).toBeNull()
    expect(made.state).toBe('signedOut')
    expect(gateway.asked).toHaveLength(0)
  })
})

describe('signing out', () => {
  beforeEach(async () => {
    await db.set('user', user)
    await db.set('theme', 'dark')
  })

  it('wipes everything of a person', async () => {
    gateway.answer(ok({ tokens: tokens(1, false) }), ok({}))
    const made = auth()
    await made.start()
    expect(await made.signOut(true)).toBe(true)
    expect(gateway.asked[1]?.body).toEqual({ deviceId: made.device, allDevices: true })
    expect([await db.setting('user'), await db.setting('theme'), made.state]).toEqual([null, 'dark', 'signedOut'])
    expect(wiped).toHaveBeenCalledOnce()
  })

  it('here goes without a network and says so; everywhere does not pretend', async () => {
    gateway.answer('network')
    const made = auth()
    await made.start()
    await expect(made.signOut(true)).rejects.toMatchObject({ code: 'NETWORK' })
    expect(made.state).toBe('signedIn')
    expect(await made.signOut()).toBe(false)
    expect(made.state).toBe('signedOut')
  })
})

describe('other ways in', () => {
  it('an invite makes an account, with a session or without', async () => {
    const given = { inviteToken: 't', password: 'p', firstName: 'Ana', lastName: 'A' }
    gateway.answer(ok({ user }), ok({ user, tokens: tokens(1, false) }))
    const made = auth()
    await made.start()
    expect(await made.register(given)).toBe(false)
    expect(made.state).toBe('signedOut')
    expect(await made.register(given)).toBe(true)
    expect(made.state).toBe('signedIn')
  })

  it('a provider’s code is shown with the verifier that was kept', async () => {
    gateway.answer(ok({ user, tokens: tokens(1, false) }))
    const made = auth()
    await made.start()
    await expect(made.finishOidc('c')).rejects.toMatchObject({ code: 'SIGNED_OUT' })
    const address = await made.oidcAddress('https://pager.test/app/oidc')
    expect(address).toMatch(/^\/api\/v1\/auth\/oidc\/start\?deviceId=.*codeChallenge=[\w-]{43}$/)
    await made.finishOidc('c')
    expect(gateway.asked[0]?.body).toMatchObject({ code: 'c', codeVerifier: expect.stringMatching(/^[\w-]{43}$/) })
    expect(await db.setting('oidcVerifier')).toBeNull()
  })
})

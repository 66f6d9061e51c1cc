import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Gateway, incident, ok, refused, until } from './tools'

const user = { id: 'u1', email: 'ana@pager.test', firstName: 'Ana', lastName: 'A', roles: ['lead'] }
const signedIn = () => ok({ user, tokens: { accessToken: 'a1', expiresIn: 900 } })
class Socket {
  static last: Socket | null = null
  readyState = 1
  onmessage: ((event: { data: string }) => void) | null = null
  constructor(readonly address: string) {
    Socket.last = this
  }
  send() {}
  close() {}
  hears(frame: object) {
    this.onmessage?.({ data: JSON.stringify(frame) })
  }
}

let gateway: Gateway

async function started() {
  vi.resetModules()
  vi.stubGlobal('fetch', (...given: Parameters<typeof fetch>) => gateway.fetch(...given))
  vi.stubGlobal('WebSocket', Socket)
  const { app } = await import('../../src/core/app.svelte')
  await app.start()
  return app
}

beforeEach(async () => {
  gateway = new Gateway()
  Socket.last = null
  indexedDB = new IDBFactory()
})

describe('the app', () => {
  it('signs in, follows incidents, acts on them and signs out', async () => {
    gateway.answer(signedIn())
    const app = await started()
    expect([app.state, app.roles]).toEqual(['signedOut', []])
    await app.auth.signIn({ email: user.email, password: 'x' })
    expect([app.isLead, app.isAdmin]).toEqual([true, false])
    await until(() => Socket.last?.onmessage != null)
    expect(Socket.last?.address).toBe('wss://pager.test/api/v1/stream')
    const follower = { changed: vi.fn(), gone: vi.fn(), list: vi.fn() }
    const stop = app.follow(follower)
    Socket.last?.hears({ type: 'ready', position: 'p', heartbeatSeconds: 15, live: true })
    Socket.last?.hears({ type: 'IncidentCreated', position: 'p', incident: incident('i1') })
    Socket.last?.hears({ type: 'gone', position: 'p', incident: { id: 'i2' } })
    expect(follower.list).toHaveBeenCalledOnce()
    expect(follower.changed).toHaveBeenCalledWith(expect.objectContaining({ id: 'i1' }), 'IncidentCreated')
    expect(follower.gone).toHaveBeenCalledWith('i2')
    expect(app.isLive).toBe(true)
    await until(async () => (await app.db.incident('i1')) !== null)

    gateway.answer(ok({ incident: incident('i1', { version: 2, status: 'acknowledged' }) }))
    ;(gateway as unknown as { answers: unknown[] }).answers.shift()
    await app.act({ incidentId: 'i1', action: 'acknowledge' })
    await until(() => follower.changed.mock.calls.some(([, event]) => event === 'acknowledge'))
    stop()
    expect(await app.signOut()).toBe(true)
    expect([app.state, app.hasExpired, app.entries]).toEqual(['signedOut', false, []])
    expect(await app.db.incidents()).toEqual([])
  })

  it('knows that it is offline from what fails, and sends when somebody looks', async () => {
    gateway.answer(signedIn(), 'network')
    const app = await started()
    await app.auth.signIn({ email: user.email, password: 'x' })
    await app.act({ incidentId: 'i1', action: 'acknowledge' })
    await until(() => !app.isOnline)
    expect(app.waiting).toBe(1)
    ;(gateway as unknown as { answers: unknown[] }).answers.length = 0
    gateway.answer(refused(409, 'CONFLICT', { state: 'resolved', by: 'u1' }))
    window.dispatchEvent(new Event('focus'))
    window.dispatchEvent(new Event('online'))
    document.dispatchEvent(new Event('visibilitychange'))
    await until(() => app.refused.length === 1)
    expect([app.isOnline, app.refused[0]?.refusal?.by]).toEqual([true, 'Ana A'])
  })

  it('that is put away sends what could be undone still', async () => {
    gateway.answer(signedIn(), refused(409, 'CONFLICT', { state: 'resolved', by: 'u1' }))
    const app = await started()
    await app.auth.signIn({ email: user.email, password: 'x' })
    await app.act({ incidentId: 'i1', action: 'acknowledge', undoFor: 60_000 })
    const acknowledged = () => gateway.asked.filter(({ path }) => path.endsWith('/acknowledge')).length
    await app.outbox.flush(true)
    expect(acknowledged()).toBe(0)
    const state = vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('hidden')
    document.dispatchEvent(new Event('visibilitychange'))
    await until(() => acknowledged() === 1)
    state.mockRestore()
  })

  it('says that a session has ended by itself, and asks for a name once', async () => {
    gateway.answer(signedIn(), ok({ user: { ...user, id: 'u2', firstName: 'Bo', lastName: '' } }), refused(401, 'UNAUTHENTICATED'))
    const app = await started()
    app.hurry() // nobody is signed in
    await app.auth.signIn({ email: user.email, password: 'x' })
    expect([await app.nameOf('u2'), await app.nameOf('u2')]).toEqual(['Bo', 'Bo'])
    await expect(app.api.get('/api/v1/users/me')).rejects.toMatchObject({ status: 401 })
    expect([app.state, app.hasExpired]).toEqual(['signedOut', true])
    await app.useServer('https://other.test')
    expect(app.api.base).toBe('https://other.test')
    const { streamAddress } = await import('../../src/core/app.svelte')
    expect(streamAddress('http://127.0.0.1:3000')).toBe('ws://127.0.0.1:3000/api/v1/stream')
  })
})

describe('signing in, step by step', () => {
  async function begun(...answers: Parameters<Gateway['answer']>) {
    gateway.answer(...answers)
    const app = await started()
    const { SignIn } = await import('../../src/features/auth/store.svelte')
    const signIn = new SignIn()
    signIn.email = ` ${user.email} `
    signIn.password = 'x'
    return { app, signIn }
  }

  it('asks for a code, and says where it is wrong', async () => {
    const { app, signIn } = await begun(
      refused(401, 'UNAUTHENTICATED'),
      refused(401, 'SECOND_FACTOR_REQUIRED', { totp: { secret: 's', uri: 'otpauth://x' } }),
      refused(401, 'SECOND_FACTOR_REQUIRED'),
      ok({ user, tokens: { accessToken: 'a', expiresIn: 900 }, recoveryCodes: ['r1'] }),
    )
    await signIn.submit()
    expect([signIn.step, signIn.error]).toEqual(['password', 'The address or the password is wrong.'])
    await signIn.submit()
    expect([signIn.step, signIn.error, signIn.setUp?.secret]).toEqual(['totp', null, 's'])
    signIn.totp = '123 456'
    await signIn.submit()
    expect(signIn.error).toBe('This code is wrong or was used.')
    signIn.totp = '123 456'
    await signIn.submit()
    expect(gateway.asked.at(-1)?.body).toMatchObject({ email: user.email, totp: '123456' })
    expect([app.state, app.recoveryCodes, signIn.password]).toEqual(['signedIn', ['r1'], ''])
  })

  it('asks which device goes, and solves a captcha by itself', async () => {
    const parameters = { algorithm: 'PBKDF2/SHA-256', cost: 1, keyLength: 32, keyPrefix: '', nonce: '00', salt: '00' }
    const { app, signIn } = await begun(
      refused(401, 'CAPTCHA_REQUIRED', { captcha: { parameters, signature: 's' } }),
      refused(409, 'CONFLICT', { devices: [{ deviceId: 'd1', isPaged: true }] }),
      signedIn(),
    )
    await signIn.submit()
    expect(signIn.step).toBe('replace')
    expect(gateway.asked[1]?.body).toHaveProperty('captcha')
    await signIn.submit('d1')
    expect(gateway.asked[2]?.body).toMatchObject({ replace: 'd1' })
    expect(app.state).toBe('signedIn')
  })

  it('says what it cannot help', async () => {
    const { signIn } = await begun('network', refused(429, 'RATE_LIMITED'))
    await signIn.submit()
    expect(signIn.error).toBe('Pager cannot be reached.')
    await signIn.submit()
    expect(signIn.error).toBe('Too many tries. Wait a moment.')
    await signIn.returned('code')
    expect(signIn.error).toBe('You are signed out.')
  })

  it('finds a provider where there is one, and a server where there is a Pager', async () => {
    const { app, signIn } = await begun(ok({ provider: true, captcha: false }), refused(404, 'NOT_FOUND'), { status: 200, body: '<html>' }, 'network', ok({}))
    await signIn.findProvider()
    expect(signIn.hasProvider).toBe(true)
    await signIn.findProvider()
    expect(signIn.hasProvider).toBe(false)
    signIn.server = 'http://evil.test'
    await signIn.chooseServer()
    expect(signIn.error).toBe('This is no https address.')
    signIn.server = 'pager.example'
    await signIn.chooseServer()
    expect([signIn.error, app.api.base]).toEqual(['There is no Pager at this address.', ''])
    await signIn.chooseServer()
    expect(signIn.error).toBe('Pager cannot be reached.')
    await signIn.chooseServer()
    expect([signIn.error, signIn.step, app.api.base]).toEqual([null, 'password', 'https://pager.example'])
  })
})

describe('a toast', () => {
  it('is one at a time, and goes', async () => {
    vi.useFakeTimers()
    const { toasts } = await import('../../src/ui/toasts.svelte')
    toasts.show('one')
    toasts.show('two', { kind: 'error', action: { label: 'Undo', run: vi.fn() } })
    expect(toasts.shown).toMatchObject({ text: 'two', kind: 'error' })
    await vi.advanceTimersByTimeAsync(6_000)
    expect(toasts.shown).toBeNull()
    vi.useRealTimers()
  })
})

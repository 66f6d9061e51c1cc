import { beforeEach, describe, expect, it, vi } from 'vitest'
import type { Health } from '../../src/native/alerts'
import { checks, worst, type Known } from '../../src/features/settings/health'
import { Gateway, incident, ok, refused, START, until } from './tools'

const user = { id: 'u1', email: 'ana@pager.test', firstName: 'Ana', lastName: 'A', roles: ['user'], version: 3, phone: null, timezone: 'UTC', teams: [] }
const phone: Health = {
  ...{ platform: 'android', notifications: 'granted', criticalAlerts: 'notApplicable', timeSensitive: 'notApplicable', channelSound: 'yes' },
  ...{ dndBypass: 'yes', fullScreenIntent: 'yes', batteryUnrestricted: 'yes', focus: 'no', alarmVolume: 'yes', pushConfigured: 'yes', token: 'confirmed' },
  ...{ canAcknowledge: true, hardwareKey: 'yes', lastReceivedAt: null, waiting: { acknowledgements: 0, receipts: 0 }, clockAhead: null },
}
const known: Known = {
  ...{ health: phone, web: null, canAnswer: true, isTold: true, refusal: null, lastReceiptAt: new Date(START - 60_000).toISOString() },
  ...{ isOnline: true, isLive: true, offset: 0, now: START },
}
const graded = (more: Partial<Known>, health: Partial<Health> = {}) =>
  Object.fromEntries(checks({ ...known, ...more, health: { ...phone, ...health } }).map(({ id, grade, mend }) => [id, [grade, mend]]))

describe('would you be woken', () => {
  it('says yes where nothing stands in the way, and each thing in words', () => {
    const all = checks(known)
    expect(worst(all)).toBe('ok')
    for (const { title, text } of all) expect([title.length > 2, text.length > 2, /\{|health\./.test(text)]).toEqual([true, true, false])
    expect(all.map(({ id }) => id)).toEqual(['permission', 'sound', 'dnd', 'fullScreen', 'battery', 'volume', 'answer', 'token', 'receipt', 'network', 'clock'])
  })

  it.each([
    ['permission', { notifications: 'denied' }, 'bad', { page: 'notifications' }],
    ['permission', { notifications: 'prompt' }, 'bad', 'ask'],
    ['permission', { notifications: 'provisional' }, 'bad', { page: 'notifications' }],
    ['critical', { criticalAlerts: 'no' }, 'warn', { page: 'notifications' }],
    ['sound', { channelSound: 'no' }, 'bad', { page: 'channel' }],
    ['dnd', { dndBypass: 'no' }, 'bad', { page: 'dnd' }],
    ['fullScreen', { fullScreenIntent: 'no' }, 'warn', { page: 'fullScreenIntent' }],
    ['battery', { batteryUnrestricted: 'no' }, 'warn', { page: 'battery' }],
    ['volume', { alarmVolume: 'no' }, 'bad', { page: 'sound' }],
    ['focus', { focus: 'yes', dndBypass: 'unknown' }, 'warn', { page: 'dnd' }],
    ['build', { pushConfigured: 'no' }, 'bad', null],
  ] as const)('a phone: %s %j is %s', (id, health, grade, mend) => {
    expect(graded({}, health as Partial<Health>)[id]).toEqual([grade, mend])
  })

  it.each([
    ['token', { isTold: false }, 'bad', 'register'],
    ['token', { isTold: false, web: 'off' }, 'bad', null],
    ['token', { refusal: 'no' }, 'bad', 'register'],
    ['receipt', { lastReceiptAt: null }, 'warn', 'test'],
    ['receipt', { lastReceiptAt: '2025-01-01T00:00:00Z' }, 'warn', 'test'],
    ['network', { isOnline: false }, 'bad', null],
    ['network', { isLive: false }, 'warn', null],
    ['clock', { offset: 3_600_000 }, 'warn', null],
    ['clock', { offset: -60_000 }, 'warn', null],
    ['answer', { canAnswer: false }, 'warn', null],
    ['browser', { web: 'on' }, 'ok', null],
    ['browser', { web: 'off' }, 'bad', 'ask'],
    ['browser', { web: 'denied' }, 'bad', null],
    ['browser', { web: 'unsupported' }, 'bad', null],
  ] as const)('%s %j is %s', (id, more, grade, mend) => {
    expect(graded(more as Partial<Known>)[id]).toEqual([grade, mend])
    expect(worst(checks({ ...known, ...(more as Partial<Known>) }))).not.toBe(grade === 'ok' ? 'bad' : 'ok')
  })

  it('says nothing of what is not known, and nothing of a phone about a browser', () => {
    expect(graded({ lastReceiptAt: undefined })['receipt']).toBeUndefined()
    expect(graded({}, { dndBypass: 'unknown' })['dnd']).toBeUndefined()
    expect(Object.keys(graded({ web: 'on' }))).toEqual(['browser', 'answer', 'token', 'receipt', 'network', 'clock'])
  })
})

let gateway: Gateway
let doors: Record<string, (body: unknown) => ReturnType<typeof ok>>

/** Signed in, with doors that answer. */
async function begun() {
  vi.resetModules()
  vi.stubGlobal('fetch', (...given: Parameters<typeof fetch>) => gateway.fetch(...given))
  vi.stubGlobal('WebSocket', class { close() {} })
  const { app } = await import('../../src/core/app.svelte')
  await app.start()
  await app.auth.signIn({ email: user.email, password: 'x' })
  return app
}

beforeEach(() => {
  indexedDB = new IDBFactory()
  localStorage.clear()
  doors = { 'POST /api/v1/auth/login': () => ok({ user, tokens: { accessToken: 'a1', expiresIn: 900 }, deviceCredential: 'c' }) }
  gateway = new Gateway().answer(({ method, path, body }) => {
    const found = Object.entries(doors).find(([door]) => `${method} ${path}`.startsWith(door))
    return found === undefined ? refused(404, 'NOT_FOUND') : found[1](body)
  })
})
/** Of the same Svelte as the app that was just loaded. */
const library = () => import('@testing-library/svelte')
const asked = (door: string) => gateway.asked.filter(({ method, path }) => `${method} ${path}`.startsWith(door)).map(({ body }) => body)

describe('devices', () => {
  const device = (deviceId: string) => ({ deviceId, deviceName: `Phone ${deviceId}`, platform: 'ios', registeredAt: new Date(START).toISOString(), lastReceiptAt: null })
  const subscribable = (permission = 'granted') => {
    let kept: unknown = null
    const subscribe = vi.fn(async () => (kept = { endpoint: 'https://push.test/1', unsubscribe: async () => (kept = null) }))
    vi.stubGlobal('Notification', { permission, requestPermission: vi.fn(async () => permission) })
    const worker = { pushManager: { getSubscription: async () => kept, subscribe } }
    vi.stubGlobal('navigator', { userAgent: 'Chrome/1 Linux', serviceWorker: { getRegistration: async () => worker } })
    return subscribe
  }

  it('a browser asks, subscribes and registers, and asks which one goes where there are too many', async () => {
    const app = await begun()
    subscribable()
    const { Devices } = await import('../../src/features/settings/devices.svelte')
    const devices = new Devices()
    doors['GET /api/v1/devices/web-push-key'] = () => ok({ webPushKey: { publicKey: 'AQL7' } })
    doors['GET /api/v1/devices'] = () => ok({ devices: [device(app.auth.device)] })
    doors['POST /api/v1/devices'] = (body) =>
      (body as { replace?: string }).replace === undefined ? refused(409, 'CONFLICT', { devices: [{ deviceId: 'old', isPaged: true }] }) : ok({ device: {} })
    await devices.add()
    expect([devices.held.map(({ deviceId }) => deviceId), devices.fault]).toEqual([['old'], expect.stringContaining('as many devices')])
    expect(await app.registration.isTold()).toBe(false)
    await devices.add('old')
    expect(asked('POST /api/v1/devices').at(-1)).toMatchObject({ platform: 'web', replace: 'old', deviceName: 'Browser on Linux' })
    expect([devices.held, devices.fault, devices.current?.deviceId, await app.registration.isTold()]).toEqual([[], null, app.auth.device, true])

    expect(await devices.rename(' Desk ')).toBe(false) // it was refused: it is to replace one again
    doors['POST /api/v1/devices'] = () => ok({ device: {} })
    expect(await devices.rename(' Desk ')).toBe(true)
    expect(asked('POST /api/v1/devices').at(-1)).toMatchObject({ deviceName: 'Desk' })
    const times = asked('POST /api/v1/devices').length
    app.hurry()
    await until(async () => app.registration.isTold())
    expect(asked('POST /api/v1/devices')).toHaveLength(times)

    doors['DELETE /api/v1/devices'] = () => ok({})
    await devices.remove(device(app.auth.device) as never)
    expect(await app.registration.isTold()).toBe(false)
    expect(await (await import('../../src/native/push')).subscription()).toBeNull()
  })

  it.each([
    ['denied', 'forbidden here', () => undefined],
    ['granted', 'not set up', () => undefined],
    ['granted', 'cannot be reached', () => (doors['GET /api/v1/devices/web-push-key'] = () => ok({ webPushKey: { publicKey: 'AQL7' } }))],
  ])('says why not: %s, %s', async (permission, words, prepare) => {
    await begun()
    subscribable(permission).mockRejectedValue(new DOMException('no service', 'AbortError'))
    prepare()
    const { Devices } = await import('../../src/features/settings/devices.svelte')
    const devices = new Devices()
    await devices.add()
    expect(devices.fault).toContain(words)
    vi.stubGlobal('navigator', { userAgent: '' })
    if (permission === 'granted') {
      await devices.add()
      expect(devices.fault).toContain('cannot be paged')
    }
    await devices.load()
    expect(devices.error).not.toBeNull()
  })

  it('a test page is followed until it was opened', async () => {
    await begun()
    const { TestPage } = await import('../../src/features/settings/test.svelte')
    const test = new TestPage()
    const at = new Date(START).toISOString()
    const told = (more: object) => ok({ notification: { id: 'n1', state: 'intended', attempts: [], receipts: {}, ...more } })
    await test.begin('d1')
    expect(test.error).not.toBeNull()
    doors['POST /api/v1/devices/d1/test'] = () => told({})
    doors['GET /api/v1/notifications/n1'] = () => told({ state: 'accepted', attempts: [{ attempt: 1, at, outcome: 'accepted', reason: 'ok' }], receipts: { received: at } })
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    await test.begin('d1')
    expect([test.words, test.hasCome]).toEqual(['Pager is about to send it.', false])
    await vi.advanceTimersByTimeAsync(1_500)
    await vi.waitFor(() => expect(test.hasCome).toBe(true))
    expect([test.attempts[0]?.text, test.receipts.map((step) => step.at)]).toEqual(['Attempt 1: accepted (ok)', [at, null, null]])
    doors['GET /api/v1/notifications/n1'] = () => refused(503, 'UNAVAILABLE')
    await vi.advanceTimersByTimeAsync(1_500)
    await vi.waitFor(() => expect(test.error).not.toBeNull())
    test.stop()
    const asks = gateway.asked.length
    await vi.advanceTimersByTimeAsync(60_000)
    expect(gateway.asked).toHaveLength(asks)
    vi.useRealTimers()
  })
})

describe('who somebody is', () => {
  it('a profile is changed by its version, and a change of somebody else is shown and not overwritten', async () => {
    const app = await begun()
    const { Profile } = await import('../../src/features/settings/profile.svelte')
    const profile = new Profile()
    doors['GET /api/v1/users/me'] = () => ({ ...(ok({ user }, { ETag: '"3"' }) as object) }) as ReturnType<typeof ok>
    await profile.load()
    profile.phone = '+49 (176) 123-45678'
    doors['PATCH /api/v1/users/me'] = () => refused(400, 'VALIDATION_ERROR', { field: 'phone', reason: 'no such number' })
    await profile.save()
    expect([profile.of('phone'), profile.other('phone')]).toEqual(['no such number', null])
    doors['PATCH /api/v1/users/me'] = () => refused(412, 'PRECONDITION_FAILED')
    await profile.save()
    expect([profile.other('phone'), profile.phone]).toEqual([expect.stringContaining('meanwhile'), '+49 (176) 123-45678'])
    doors['PATCH /api/v1/users/me'] = () => ok({ user: { ...user, firstName: 'Anna', phone: '+4917612345678' } })
    profile.firstName = 'Anna'
    await profile.save()
    expect(gateway.asked.at(-1)?.headers.get('If-Match')).toBe('"3"')
    expect([profile.fault, app.user?.firstName, profile.phone]).toEqual([null, 'Anna', '+4917612345678'])
    await profile.verify()
    expect(profile.fault).not.toBeNull()
  })

  it('takes what somebody else has changed, and nothing of what is being typed', async () => {
    await begun()
    const { Profile } = await import('../../src/features/settings/profile.svelte')
    const profile = new Profile()
    profile.lastName = 'Typed at once'
    const theirs = { ...user, firstName: 'Anne', lastName: 'Theirs', phone: '+1555000', version: 4 }
    doors['GET /api/v1/users/me'] = () => ok({ user: theirs }, { ETag: '"4"' })
    await profile.load()
    expect([profile.firstName, profile.lastName, profile.phone]).toEqual(['Anne', 'Typed at once', '+1555000'])
  })

  it('another password goes on here, and ends what answers pages without the app', async () => {
    const app = await begun()
    const { hasCredential } = await import('../../src/core/devicekey')
    expect(await hasCredential(app.db)).toBe(true)
    const { Password } = await import('../../src/features/settings/profile.svelte')
    const password = new Password()
    Object.assign(password, { current: 'old', wanted: 'new', again: 'newer' })
    expect([await password.change(), password.of('again')]).toEqual([false, 'These two are not the same.'])
    doors['POST /api/v1/auth/password/change'] = () => ok({ tokens: { accessToken: 'a2', expiresIn: 900 } })
    password.again = 'new'
    expect([await password.change(), password.current, await app.auth.get(), await hasCredential(app.db)]).toEqual([true, '', 'a2', false])
  })

  it('a second factor is set up, after the password where the sign-in is old, and removed', async () => {
    const app = await begun()
    const { SecondFactor } = await import('../../src/features/settings/profile.svelte')
    const factor = new SecondFactor()
    await factor.load()
    expect(factor.error).not.toBeNull()
    doors['GET /api/v1/users/me/totp'] = () => ok({ secondFactor: { isOn: false, isNeeded: false, recoveryCodesLeft: 0 } })
    await factor.load()
    doors['POST /api/v1/users/me/totp/confirm'] = (body) => ((body as { code: string }).code === '123456' ? ok({ recoveryCodes: ['r1'] }) : refused(400, 'VALIDATION_ERROR', { field: 'code', reason: 'wrong' }))
    doors['POST /api/v1/users/me/totp'] = (body) => ('currentPassword' in (body as object) ? ok({ secret: 'S', uri: 'otpauth://x' }) : refused(403, 'FORBIDDEN'))
    await factor.begin()
    expect([factor.needsPassword, factor.setUp]).toEqual([true, null])
    await factor.begin()
    expect(factor.fault).not.toBeNull()
    factor.password = 'x'
    await factor.begin()
    expect(factor.setUp?.secret).toBe('S')
    factor.code = '1'
    await factor.confirm()
    expect(factor.of('code')).toBe('wrong')
    factor.code = '123 456'
    await factor.confirm()
    expect([factor.setUp, app.recoveryCodes]).toEqual([null, ['r1']])
    doors['DELETE /api/v1/users/me/totp'] = () => ok({})
    factor.code = 'r1'
    await factor.remove()
    expect([asked('DELETE /api/v1/users/me/totp')[0], factor.code]).toEqual([{ code: 'r1' }, ''])
  })

  it('sessions are ended, one or all others', async () => {
    await begun()
    const { Sessions } = await import('../../src/features/settings/sessions.svelte')
    const sessions = new Sessions()
    await sessions.load()
    expect(sessions.error).not.toBeNull()
    const session = (id: string, isCurrent: boolean) => ({ id, isCurrent, deviceId: id, beganAt: new Date(START).toISOString() })
    doors['GET /api/v1/auth/sessions'] = () => ok({ sessions: [session('s1', false), session('s2', true)] })
    await sessions.end('s1')
    expect(sessions.all?.map(({ id }) => id)).toEqual(['s2', 's1'])
    doors['DELETE /api/v1/auth/sessions'] = () => ok({})
    await Promise.all([sessions.endOthers(), sessions.endOthers()])
    expect(asked('DELETE /api/v1/auth/sessions')).toHaveLength(2)
  })
})

describe('the screens', () => {
  it('signing out asks first, more loudly where something waits', async () => {
    const app = await begun()
    doors['POST /api/v1/incidents'] = () => refused(503, 'UNAVAILABLE')
    await app.act({ incidentId: 'i1', action: 'acknowledge' })
    const { render, screen, waitFor } = await library()
    const { default: Leave } = await import('../../src/features/settings/Leave.svelte')
    render(Leave)
    screen.getByRole('button', { name: 'Sign out everywhere' }).click()
    await screen.findByText(/1 thing that you did was not sent/)
    doors['POST /api/v1/auth/logout'] = () => refused(503, 'UNAVAILABLE')
    const confirm = () => screen.getAllByRole('button', { name: 'Sign out everywhere' }).at(-1)
    confirm()?.click()
    await screen.findByText('A part of Pager is away at the moment.')
    expect(app.state).toBe('signedIn')
    doors['POST /api/v1/auth/logout'] = () => ok({})
    await waitFor(() => expect(confirm()).toHaveProperty('disabled', false))
    confirm()?.click()
    await until(() => app.state === 'signedOut')
    expect(await app.db.entries()).toEqual([])
  })

  it('diagnostics show what waits and what was refused', async () => {
    const app = await begun()
    doors['POST /api/v1/incidents/i1/acknowledge'] = () => refused(409, 'CONFLICT', { state: 'resolved', at: new Date(START).toISOString() })
    doors['GET /api/health'] = () => ({ status: 200, body: { version: '1.2.3' } })
    await app.db.putIncidents([incident('i1')])
    await app.act({ incidentId: 'i1', action: 'acknowledge' })
    await until(() => app.refused.length === 1)
    const { render, screen } = await library()
    const { default: Diagnostics } = await import('../../src/features/settings/Diagnostics.svelte')
    render(Diagnostics)
    await screen.findByText('1.2.3')
    screen.getByText(/Refused: already resolved at/)
    screen.getByRole('button', { name: 'Dismiss' }).click()
    await screen.findByText('Everything that you did has arrived.')
    screen.getByRole('button', { name: /Forget what is kept/ }).click()
    await until(async () => (await app.db.incidents()).length === 0)
    const { Diagnostics: State, sizeText } = await import('../../src/features/settings/diagnostics.svelte')
    delete doors['GET /api/health']
    const state = new State()
    await state.retry()
    expect([state.serverVersion, sizeText(3_500), sizeText(12_340_000)]).toEqual([null, '4 kB', '12.3 MB'])
  })

  it('health says what is wrong here, and its button says it again', async () => {
    await begun()
    const { render, screen } = await library()
    const { default: HealthScreen } = await import('../../src/features/settings/Health.svelte')
    render(HealthScreen)
    await screen.findByRole('heading', { name: 'You would not be woken' })
    screen.getByText(/This browser has none/)
  })
})

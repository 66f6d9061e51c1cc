/** The app on a phone: what its own code tells, and what a browser's service worker hears. */

import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Gateway, ok, until } from './tools'

const heard = vi.hoisted(() => new Map<string, (event: unknown) => void>())
const plugin = vi.hoisted(() => ({
  register: vi.fn(async () => undefined),
  confirmToken: vi.fn(async () => undefined),
  storeCredential: vi.fn(async () => undefined),
  wipe: vi.fn(async () => undefined),
  createKey: async () => ({ jwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }, hardware: true }),
  sign: async () => ({ signature: 'AQI' }),
  addListener: async (name: string, listen: (event: unknown) => void) => void heard.set(name, listen),
}))
vi.mock('@capacitor/core', async (original) => {
  const real = await original<typeof import('@capacitor/core')>()
  return { ...real, Capacitor: { ...real.Capacitor, getPlatform: () => 'android' }, registerPlugin: () => plugin }
})
const kept = new Map<string, string>()
vi.mock('@aparajita/capacitor-secure-storage', () => ({
  KeychainAccess: { afterFirstUnlockThisDeviceOnly: 2 },
  SecureStorage: { get: async (name: string) => kept.get(name) ?? null, set: async (name: string, value: string) => void kept.set(name, value), remove: async (name: string) => kept.delete(name) },
}))

const user = { id: 'u1', email: 'ana@pager.test', firstName: 'Ana', lastName: 'A', roles: ['user'] }
const signedIn = ok({ user, tokens: { accessToken: 'a1', refreshToken: 'r1', expiresIn: 900 }, deviceCredential: 'c' })
let gateway: Gateway

async function started() {
  vi.resetModules()
  vi.clearAllMocks()
  vi.stubGlobal('fetch', (...given: Parameters<typeof fetch>) => gateway.fetch(...given))
  vi.stubGlobal('WebSocket', class { close() {} })
  const { app } = await import('../../src/core/app.svelte')
  await app.start()
  await app.useServer('https://pager.example.org')
  return app
}

beforeEach(() => {
  indexedDB = new IDBFactory()
  heard.clear()
  kept.clear()
  gateway = new Gateway()
})
const registered = () => gateway.asked.filter(({ path }) => path.endsWith('/api/v1/devices')).map(({ body }) => body)

describe('a token of the phone', () => {
  it('that came before anybody signed in is told with the sign-in, once, and confirmed', async () => {
    gateway.answer(signedIn, ok({ device: {} }))
    const app = await started()
    heard.get('token')?.({ token: 't1' })
    await until(async () => (await app.db.setting('pushToken')) === 't1')
    expect(registered()).toEqual([])
    await app.auth.signIn({ email: user.email, password: 'x' })
    expect(plugin.storeCredential).toHaveBeenCalledWith({ deviceCredential: 'c', deviceId: app.auth.device, userId: 'u1', serverUrl: 'https://pager.example.org' })
    await until(() => plugin.confirmToken.mock.calls.length > 0)
    expect([plugin.register.mock.calls.length > 0, registered()]).toEqual([true, [{ deviceId: app.auth.device, deviceName: 'Android phone', platform: 'android', pushToken: 't1' }]])
    heard.get('token')?.({ token: 't1' })
    await until(() => plugin.confirmToken.mock.calls.length > 1)
    expect(registered()).toHaveLength(1)
    heard.get('token')?.({ token: 't2' }) // it was changed while the app was killed
    await until(() => registered().length === 2)
    await app.signOut()
    expect(plugin.wipe).toHaveBeenCalled()
    expect(await app.db.setting('pushToken')).toBeNull()
  })

  it('that could not be told is told when there is a network; one that is refused is said', async () => {
    let answer: 'network' | ReturnType<typeof ok> = 'network'
    gateway.answer(({ path }) => (path.includes('/login') ? signedIn : answer))
    const app = await started()
    await app.auth.signIn({ email: user.email, password: 'x' })
    heard.get('token')?.({ token: 't1' })
    await until(() => registered().length > 0)
    expect([app.pushError, plugin.confirmToken.mock.calls.length, await app.registration.isTold()]).toEqual([null, 0, false])
    answer = { status: 400, body: { success: false, error: { code: 'VALIDATION_ERROR', message: 'no token', details: { field: 'pushToken' } } } } as never
    app.hurry()
    await until(() => app.pushError !== null)
    answer = ok({ device: {} })
    app.hurry()
    await until(() => app.registration.isTold())
    await until(() => app.pushError === null)
  })

  it('a changed password takes away what answers without the app', async () => {
    gateway.answer(({ path }) => (path.includes('/login') ? signedIn : ok({ tokens: { accessToken: 'a2', refreshToken: 'r2', expiresIn: 900 } })))
    const app = await started()
    await app.auth.signIn({ email: user.email, password: 'x' })
    await app.changePassword('old', 'new')
    expect([plugin.wipe.mock.calls.length, kept.get('refresh')]).toEqual([1, 'r2'])
  })
})

describe('what the phone tells', () => {
  it('leads to the red screen, and says what was refused', async () => {
    const app = await started()
    const { listenForPushes } = await import('../../src/core/pushes')
    const { toasts } = await import('../../src/ui/toasts.svelte')
    const go = vi.fn()
    const list = vi.fn()
    app.follow({ list })
    await listenForPushes(go)
    heard.get('opened')?.({ incidentId: 'i 1', notificationId: 'n1', action: 'callLead' })
    heard.get('opened')?.({ incidentId: 'i1', notificationId: null, action: 'open' })
    heard.get('received')?.({ incidentId: 'i2', notificationId: 'n2', kind: 'page', priority: 'critical' })
    heard.get('received')?.({ incidentId: 'i3', notificationId: 'n3', kind: 'resolved', priority: 'critical' })
    heard.get('received')?.({ incidentId: 'i4', notificationId: 'n4', kind: 'page', priority: 'low' })
    expect(go.mock.calls).toEqual([['/incidents/i%201/alert?via=push&call=lead'], ['/incidents/i1/alert?via=push'], ['/incidents/i2/alert?via=push']])
    heard.get('acknowledged')?.({ incidentId: 'i1', state: 'accepted' })
    heard.get('refused')?.({ incidentId: 'i1', reason: 'resolved by Bo', code: 'CONFLICT' })
    expect([list.mock.calls.length, toasts.shown?.text]).toEqual([2, 'Not acknowledged: resolved by Bo'])
  })
})

describe('the service worker', () => {
  it('waits for each of its events', async () => {
    const listened = new Map<string, (event: unknown) => void>()
    const shown: string[] = []
    const worker = {
      navigator: {},
      registration: { scope: 'https://pager.test/app/', showNotification: async (title: string) => void shown.push(title), getNotifications: async () => [], pushManager: { getSubscription: async () => null } },
      clients: { matchAll: async () => [], openWindow: vi.fn(async () => null) },
      location: { origin: 'https://pager.test' },
      addEventListener: (name: string, listen: (event: unknown) => void) => void listened.set(name, listen),
    }
    const { listenForPush } = await import('../../src/sw/push')
    listenForPush(worker as never)
    const done: Promise<unknown>[] = []
    const waitUntil = (work: Promise<unknown>) => void done.push(work)
    listened.get('push')?.({ data: { text: () => '{' }, waitUntil })
    listened.get('push')?.({ data: null, waitUntil })
    listened.get('push')?.({ data: { text: () => { throw new Error('broken') } }, waitUntil })
    listened.get('notificationclick')?.({ notification: { data: null, close: vi.fn() }, action: '', waitUntil })
    listened.get('pushsubscriptionchange')?.({ waitUntil })
    listened.get('sync')?.({ tag: 'outbox', waitUntil })
    listened.get('sync')?.({ tag: 'another', waitUntil })
    expect(done).toHaveLength(6)
    await Promise.all(done)
    expect(shown).toEqual(Array(3).fill('A page has come that cannot be read'))
    expect(worker.clients.openWindow).toHaveBeenCalledWith('https://pager.test/app/incidents')
  })
})

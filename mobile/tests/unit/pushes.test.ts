import { beforeEach, describe, expect, it, vi } from 'vitest'
import { Pushes } from '../../src/sw/pushes'
import { WorkerSessions } from '../../src/sw/session'
import type { Database } from '../../src/core/db'
import { browserSigner, keepCredential } from '../../src/core/devicekey'
import { Gateway, incident, MovedClock, ok, openDatabase, refused, until } from './tools'

const ID = '0198f3a1-7c42-7d31-9a55-3f2b6c1d8e'
const page = (notification = '00', more: object = {}) =>
  JSON.stringify({ notificationId: `${ID}${notification}`, incidentId: `${ID}99`, priority: 'critical', kind: 'page', title: 'DB', body: 'down', ...more })

class Shown {
  closed = false
  constructor(
    readonly title: string,
    readonly options: { tag: string; body?: string; data?: unknown },
  ) {}
  get tag() {
    return this.options.tag
  }
  get data() {
    return this.options.data
  }
  close() {
    this.closed = true
  }
}

let db: Database
let moved: MovedClock
let gateway: Gateway
let all: Shown[]
let windows: { url: string; focused: boolean; focus: () => Promise<void>; postMessage: (message: unknown) => void }[]
let openWindow: ReturnType<typeof vi.fn>
let sync: ReturnType<typeof vi.fn>
let pushManager: { getSubscription: () => Promise<unknown>; subscribe: ReturnType<typeof vi.fn> }
let pushes: Pushes
let sessions: WorkerSessions
const noises = () => all.length
const now = () => all.filter(({ closed }) => !closed)

function made(open: () => Promise<Database> = async () => db): Pushes {
  sessions = new WorkerSessions({ clock: moved.clock, api: gateway.api(moved.clock), open })
  return new Pushes({
    registration: {
      showNotification: async (title: string, options: Shown['options']) => {
        for (const one of now()) if (one.tag === options.tag) one.close()
        all.push(new Shown(title, options))
      },
      getNotifications: async ({ tag }: { tag?: string } = {}) => now().filter((one) => one.tag === tag),
      pushManager,
    } as never,
    clients: { matchAll: async () => windows, openWindow } as never,
    session: () => sessions.get(),
    sync: sync as never,
    base: '/app/',
    origin: 'https://pager.test',
  })
}

beforeEach(async () => {
  moved = new MovedClock()
  gateway = new Gateway()
  vi.stubGlobal('fetch', (...given: Parameters<typeof fetch>) => gateway.fetch(...given))
  db = await openDatabase(() => moved.at)
  await db.set('lastUserId', 'u1')
  await db.set('user', { id: 'u1' })
  await db.set('deviceId', 'd1')
  all = []
  windows = []
  openWindow = vi.fn()
  sync = vi.fn(async () => undefined)
  pushManager = { getSubscription: async () => null, subscribe: vi.fn() }
  pushes = made()
})

const withKey = async () => {
  await browserSigner(db)?.publicKey()
  await keepCredential(db, 'credential', 'd1')
}

describe('a page that comes', () => {
  it('is shown and receipted; the same again is nothing, also after it was put away', async () => {
    await withKey()
    gateway.answer(ok({}))
    await Promise.all([pushes.received(page()), pushes.received(page())])
    await pushes.received(page())
    now()[0]?.close()
    await pushes.received(page())
    expect(noises()).toBe(1)
    const [first, second] = gateway.asked
    expect([first?.path, first?.body, second?.body]).toMatchObject([`/api/v1/notifications/${ID}00/receipts`, { state: 'displayed' }, { state: 'received' }])
    expect(first?.headers.get('Pager-Proof')).not.toBeNull()
  })

  it('of the next level makes a noise in the place of the one before', async () => {
    gateway.answer(ok({ tokens: { accessToken: 'a', expiresIn: 900 } }))
    await pushes.received(page('00'))
    await pushes.received(page('01', { level: '2' }))
    expect([noises(), now().length]).toEqual([2, 1])
  })

  it('is taken away by what ends it, which is received and not displayed', async () => {
    await withKey()
    gateway.answer(ok({}))
    await pushes.received(page('00'))
    await pushes.received(page('02', { kind: 'resolved' }))
    expect(now()).toEqual([])
    expect(gateway.asked.filter(({ path }) => path.includes(`${ID}02`)).map(({ body }) => (body as { state: string }).state)).toEqual(['received'])
  })

  it('is shown where the database is away or never answers', async () => {
    pushes = made(() => Promise.reject(new Error('away')))
    await pushes.received(page())
    expect(noises()).toBe(1)
    vi.useFakeTimers()
    pushes = made(() => new Promise(() => undefined))
    void pushes.received(page('01'))
    await vi.advanceTimersByTimeAsync(1_000)
    vi.useRealTimers()
    await until(() => noises() === 2)
  })

  it('tells nothing to whoever has signed out, and asks for no more', async () => {
    const unsubscribe = vi.fn()
    pushManager.getSubscription = async () => ({ unsubscribe })
    await db.wipe()
    await pushes.received(page())
    expect(now()[0]?.title).toBe('You are signed out of Pager here')
    expect(JSON.stringify(now()[0]?.options)).not.toContain('down')
    expect(unsubscribe).toHaveBeenCalledOnce()
  })

  it.each(['', '{', '"x"', JSON.stringify({ url: 'https://evil.example' }), 'x'.repeat(100_000)])('is shown as unreadable where it is: %.30s', async (text) => {
    await pushes.received(text)
    expect(now()[0]?.title).toBe('A page has come that cannot be read')
    await pushes.clicked(now()[0] as never, '')
    expect(openWindow).toHaveBeenCalledWith('https://pager.test/app/incidents')
  })

  it('wakes the windows that there are, and a receipt that was not heard waits', async () => {
    await withKey()
    gateway.answer('network')
    const postMessage = vi.fn()
    windows = [{ url: 'https://pager.test/app/incidents', focused: false, focus: async () => undefined, postMessage }, { url: 'https://pager.test/other', focused: true, focus: async () => undefined, postMessage: vi.fn() }]
    await pushes.received(page())
    expect(postMessage).toHaveBeenCalledWith({ type: 'sync' })
    expect((await db.settingsOf('receipt:')).size).toBe(2)
    windows = []
    ;(gateway as unknown as { answers: unknown[] }).answers.length = 0
    gateway.answer(refused(404, 'NOT_FOUND'))
    await pushes.synced()
    expect((await db.settingsOf('receipt:')).size).toBe(0)
  })
})

describe('an acknowledgement from the notification', () => {
  const acknowledged = () => gateway.asked.filter(({ path }) => path.endsWith('/acknowledge'))

  it('goes by the device’s key, also after the session, and once however often it is touched', async () => {
    await withKey()
    await db.set('user', null)
    gateway.answer(ok({}), ok({}), ok({ incident: incident(`${ID}99`, { status: 'acknowledged', version: 2 }) }), ok({}))
    await pushes.received(page())
    const [shown] = now()
    await pushes.clicked(shown as never, 'acknowledge')
    await pushes.clicked(shown as never, 'acknowledge')
    expect(acknowledged().map(({ headers }) => [headers.get('Authorization'), headers.get('Idempotency-Key')])).toEqual([['Bearer credential', `push-${ID}00`]])
    expect(acknowledged()[0]?.body).toMatchObject({ occurredAt: expect.any(String), sentAt: expect.any(String) })
    expect(now().map(({ title }) => title)).toEqual(['Acknowledged'])
    expect(shown?.closed).toBe(true)
    expect(gateway.asked.at(-1)?.body).toMatchObject({ state: 'received' })
    expect(openWindow).not.toHaveBeenCalled()
  })

  it('goes by the session where the key is none any more', async () => {
    await withKey()
    gateway.answer((asked) => {
      if (asked.headers.has('Pager-Proof')) return refused(401, 'UNAUTHENTICATED')
      if (asked.path.endsWith('/refresh')) return ok({ tokens: { accessToken: 'a1', expiresIn: 900 } })
      return ok({ incident: incident(`${ID}99`) })
    })
    await pushes.clicked(new Shown('DB', { tag: 'x', data: JSON.parse(page()) }) as never, 'acknowledge')
    expect(acknowledged().map(({ headers }) => headers.get('Authorization'))).toEqual(['Bearer credential', 'Bearer a1'])
    expect(now()[0]?.title).toBe('Acknowledged')
  })

  it('says honestly that it was refused, and by what', async () => {
    await withKey()
    gateway.answer(refused(409, 'CONFLICT', { state: 'resolved', at: new Date(moved.at).toISOString() }))
    await pushes.clicked(new Shown('DB', { tag: 'x', data: JSON.parse(page()) }) as never, 'acknowledge')
    expect([now()[0]?.title, now()[0]?.options.body]).toEqual(['Not acknowledged', expect.stringMatching(/already resolved at \d\d:\d\d\nDB$/)])
  })

  it.each([
    ['network', true, 'Pager cannot be reached'],
    ['never', true, 'Pager cannot be reached'],
    ['garbage', true, 'Pager cannot be reached'],
    ['network', false, 'Sign in to Pager'],
  ] as const)('waits in the outbox without an answer (%s, with a key: %s), and goes when there is a network', async (what, hasKey, words) => {
    if (hasKey) await withKey()
    else await db.set('user', null)
    gateway.answer(what === 'garbage' ? { status: 502, body: '<html>' } : what === 'never' ? 'network' : what)
    await pushes.clicked(new Shown('DB', { tag: 'x', data: JSON.parse(page()) }) as never, 'acknowledge')
    expect([now()[0]?.title, now()[0]?.options.body]).toEqual(['Not acknowledged yet', expect.stringContaining(words)])
    expect(sync).toHaveBeenCalledOnce()
    expect((await db.entries()).map(({ state, userId, id }) => [state, userId, id])).toEqual([['queued', 'u1', `push-${ID}00`]])
    if (!hasKey) return
    ;(gateway as unknown as { answers: unknown[] }).answers.length = 0
    gateway.answer(ok({ incident: incident(`${ID}99`) }))
    await pushes.synced()
    expect((await db.entries()).map(({ state }) => state)).toEqual(['accepted'])
    windows = [{ url: 'https://pager.test/app/', focused: true, focus: async () => undefined, postMessage: vi.fn() }]
    await pushes.synced()
    expect(windows[0]?.postMessage).toHaveBeenCalledWith({ type: 'sync' })
  })

  it('that can be undone still is sent as soon as the window is gone in which somebody could', async () => {
    await withKey()
    gateway.answer(ok({ incident: incident('i1') }))
    const session = await sessions.get()
    await session.add({ incidentId: 'i1', action: 'acknowledge', undoFor: 5_000 })
    windows = [{ url: 'https://pager.test/app/', focused: true, focus: async () => undefined, postMessage: vi.fn() }]
    const synced = pushes.synced()
    await until(() => vi.mocked(windows[0]!.postMessage).mock.calls.length === 1)
    expect(acknowledged()).toEqual([])
    windows = []
    await synced
    expect(acknowledged()).toHaveLength(1)
    expect((await db.entries()).map(({ state }) => state)).toEqual(['accepted'])
  })

  it('is nobody’s after signing out, and opens the app where nothing else helps', async () => {
    await db.wipe()
    await pushes.clicked(new Shown('DB', { tag: 'x', data: JSON.parse(page()) }) as never, 'acknowledge')
    expect(now()[0]?.title).toBe('You are signed out of Pager here')
    pushes = made(() => Promise.reject(new Error('away')))
    await pushes.clicked(new Shown('DB', { tag: 'x', data: JSON.parse(page()) }) as never, 'acknowledge')
    expect(openWindow).toHaveBeenCalledWith(`https://pager.test/app/incidents/${ID}99/alert?via=push`)
  })

  it('of another person is theirs: the worker lived on meanwhile', async () => {
    await withKey()
    gateway.answer('network')
    await pushes.received(page())
    await db.set('lastUserId', 'u2')
    await pushes.clicked(new Shown('DB', { tag: 'x', data: JSON.parse(page('03')) }) as never, 'acknowledge')
    expect((await db.entries()).map(({ userId }) => userId)).toEqual(['u2'])
  })
})

describe('touching it', () => {
  it('opens the red screen in the window that there is, and says that it was opened', async () => {
    await withKey()
    gateway.answer(ok({}))
    const focus = vi.fn(async () => undefined)
    const postMessage = vi.fn()
    windows = [
      { url: 'https://pager.test/app/x', focused: false, focus: vi.fn(async () => undefined), postMessage: vi.fn() },
      { url: 'https://pager.test/app/y', focused: true, focus, postMessage },
    ]
    await pushes.clicked(new Shown('DB', { tag: 'x', data: JSON.parse(page()) }) as never, '')
    expect(focus).toHaveBeenCalledOnce()
    expect(postMessage).toHaveBeenCalledWith({ type: 'open', path: `/incidents/${ID}99/alert?via=push` })
    expect(gateway.asked.some(({ body }) => (body as { state?: string }).state === 'opened')).toBe(true)
    expect(openWindow).not.toHaveBeenCalled()
  })

  it('of a test shows the devices', async () => {
    gateway.answer(ok({}))
    await pushes.received(page('00', { test: 'true', incidentId: undefined }))
    await pushes.clicked(now()[0] as never, '')
    expect(openWindow).toHaveBeenCalledWith('https://pager.test/app/settings/devices')
  })
})

describe('a subscription that the browser has changed', () => {
  it('is told, made anew, or known to be gone', async () => {
    gateway.answer((asked) => (asked.path.endsWith('/refresh') ? ok({ tokens: { accessToken: 'a1', expiresIn: 900 } }) : ok({ device: {} })))
    await pushes.resubscribed({ endpoint: 'https://push.test/2' } as never, null)
    const told = () => gateway.asked.filter(({ path }) => path === '/api/v1/devices').map(({ body }) => body)
    expect(told()).toMatchObject([{ deviceId: 'd1', platform: 'web', pushToken: '{"endpoint":"https://push.test/2"}' }])
    pushManager.subscribe.mockResolvedValue({ endpoint: 'https://push.test/3' })
    await pushes.resubscribed(null, { applicationServerKey: new ArrayBuffer(1), userVisibleOnly: true } as never)
    expect(told()[1]).toMatchObject({ pushToken: '{"endpoint":"https://push.test/3"}' })
    await pushes.resubscribed(null, null)
    expect(await db.setting('pushToken')).toBeNull()
    pushManager.subscribe.mockRejectedValue(new Error('denied'))
    await pushes.resubscribed(null, { applicationServerKey: new ArrayBuffer(1), userVisibleOnly: true } as never)
  })
})

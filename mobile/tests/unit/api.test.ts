import { afterEach, describe, expect, it, vi } from 'vitest'
import { Api } from '../../src/core/api'
import { ApiError, errorOf } from '../../src/core/errors'
import { Gateway, MovedClock, ok, refused, START } from './tools'

afterEach(() => vi.useRealTimers())

const tokens = (first: string | null, second: string | null = null) => ({
  get: vi.fn(async () => first),
  renew: vi.fn(async () => second),
})

describe('a request', () => {
  it('fills its path, asks its query and gives data', async () => {
    const { clock } = new MovedClock()
    const gateway = new Gateway().answer(ok({ incidents: [] }, { Date: new Date(START + 3_600_000).toUTCString(), ETag: '"7"' }))
    const api = gateway.api(clock)
    api.tokens = tokens('t1')
    expect(await api.get('/api/v1/incidents', { query: { limit: 5, q: undefined } })).toEqual({ incidents: [] })
    expect((await api.whole('get', '/api/v1/incidents/{id}', { path: { id: 'a/b?c' } })).etag).toBe('"7"')
    expect(gateway.asked.map((asked) => asked.path)).toEqual(['/api/v1/incidents?limit=5', '/api/v1/incidents/a%2Fb%3Fc'])
    expect(gateway.asked[0]?.headers.get('Authorization')).toBe('Bearer t1')
    expect(gateway.asked[0]?.headers.get('Pager-Client')).toBe('web')
    expect(clock.offset).toBe(3_600_000)
    await expect(api.get('/api/v1/incidents/{id}', { path: { id: '..' } })).rejects.toThrow('needs id')
  })

  it('renews a token that is over, once, with the same key', async () => {
    const gateway = new Gateway().answer(refused(401, 'UNAUTHENTICATED'), ok({ note: { id: 'n' } }))
    const api = gateway.api(new MovedClock().clock)
    api.tokens = tokens('t1', 't2')
    await api.post('/api/v1/incidents/{id}/notes', { path: { id: 'i' }, body: { text: 'x' } })
    expect(api.tokens.renew).toHaveBeenCalledWith('t1')
    expect(gateway.asked.map((asked) => asked.headers.get('Authorization'))).toEqual(['Bearer t1', 'Bearer t2'])
    expect(new Set(gateway.asked.map((asked) => asked.headers.get('Idempotency-Key'))).size).toBe(1)
  })

  it('gives up where there is no other token, and asks nothing where nobody is signed in', async () => {
    const gateway = new Gateway().answer(refused(401, 'UNAUTHENTICATED'))
    const api = gateway.api(new MovedClock().clock)
    api.tokens = tokens('t1')
    await expect(api.get('/api/v1/users/me')).rejects.toMatchObject({ status: 401 })
    api.tokens = tokens(null)
    await expect(api.get('/api/v1/users/me')).rejects.toMatchObject({ code: 'SIGNED_OUT' })
    expect(gateway.asked).toHaveLength(1)
  })

  it.each([['get'], ['put'], ['patch'], ['delete'], ['post']] as const)('%s says what it is', async (method) => {
    const gateway = new Gateway().answer(ok({}))
    const api = gateway.api(new MovedClock().clock, 'app')
    await (api[method] as (path: string, options: object) => Promise<unknown>)('/api/v1/x', { ifMatch: '"1"', token: 'mine' })
    expect(gateway.asked[0]?.method).toBe(method.toUpperCase())
    expect(gateway.asked[0]?.headers.get('If-Match')).toBe('"1"')
    expect(gateway.asked[0]?.headers.has('Idempotency-Key')).toBe(method === 'post')
  })

  it('ends after its time, and says whether the gateway was heard', async () => {
    vi.useFakeTimers()
    const api = new Gateway().answer('never').api(new MovedClock().clock)
    const heard = vi.fn()
    api.heard = heard
    const asked = expect(api.get('/api/v1/users/me', { token: 'none', timeout: 50 })).rejects.toMatchObject({ code: 'TIMEOUT', isOffline: true })
    await vi.advanceTimersByTimeAsync(60)
    await asked
    expect(heard).toHaveBeenCalledWith(false)
  })

  it('can be given up', async () => {
    const api = new Gateway().answer('never').api(new MovedClock().clock)
    const abort = new AbortController()
    const asked = api.get('/api/v1/users/me', { token: 'none', signal: abort.signal })
    abort.abort()
    await expect(asked).rejects.not.toBeInstanceOf(ApiError)
    await expect(api.get('/api/v1/users/me', { token: 'none', signal: abort.signal })).rejects.not.toBeInstanceOf(ApiError)
  })

  it.each<['network' | { status: number; body: string | object | null }, object]>([
    ['network' as const, { code: 'NETWORK', status: 0 }],
    ...[200, 204, 302, 401, 403, 404, 409, 412, 429, 503, 511].map((status) => [{ status, body: status === 204 ? null : '<html>' }, { code: 'BAD_ANSWER', status: 0, isTemporary: true }] as [{ status: number; body: string | null }, object]),
    [{ status: 200, body: '' }, { code: 'BAD_ANSWER' }],
    [{ status: 200, body: { portal: 'hotel' } }, { code: 'BAD_ANSWER', isTemporary: true }],
    [{ status: 404, body: { error: 'no such page' } }, { code: 'BAD_ANSWER', status: 0 }],
  ])('%j is an error, and nothing was heard of the gateway', async (said, error) => {
    const answer = async () => {
      if (said === 'network') throw new TypeError('Failed to fetch')
      return new Response(typeof said.body === 'object' && said.body !== null ? JSON.stringify(said.body) : said.body, { status: said.status })
    }
    const api = new Api(new MovedClock().clock, 'web', answer)
    const heard = vi.fn()
    api.heard = heard
    await expect(api.get('/api/v1/users/me', { token: 'none' })).rejects.toMatchObject(error)
    expect(heard.mock.calls).toEqual([[false]])
  })

  it.each([429, 500, 502, 503, 504])('the gateway’s own %i is heard: it is not the network that is away', async (status) => {
    const api = new Gateway().answer(refused(status, 'UNAVAILABLE')).api(new MovedClock().clock)
    const heard = vi.fn()
    api.heard = heard
    await expect(api.get('/api/v1/users/me', { token: 'none' })).rejects.toMatchObject({ status, isTemporary: true })
    expect(heard.mock.calls).toEqual([[true]])
  })

  it('says that it goes on after its page where it is short enough for that', async () => {
    const kept: unknown[] = []
    const gateway = new Gateway().answer(ok({}))
    const api = new Api(new MovedClock().clock, 'web', (address, init) => (kept.push(init?.keepalive ?? false), gateway.fetch(address, init)))
    await api.raw('post', '/api/v1/x', { token: 'none', keepalive: true, body: { text: 'x' } })
    await api.raw('post', '/api/v1/x', { token: 'none', keepalive: true, body: { text: 'x'.repeat(10_000) } })
    await api.raw('post', '/api/v1/x', { token: 'none', body: {} })
    expect(kept).toEqual([true, false, false])
  })
})

describe('an error', () => {
  it('has what the gateway says, within bounds', () => {
    const body = { success: false, error: { code: 'CONFLICT', message: 'no', details: { state: 'resolved' } } }
    expect(errorOf(409, body, '99999999')).toMatchObject({ code: 'CONFLICT', details: { state: 'resolved' }, retryAfter: 3600 })
    expect(errorOf(409, { error: { code: 'CONFLICT', details: 1 } }, 'soon')).toMatchObject({ message: 'HTTP 409', details: {}, retryAfter: null })
    expect(errorOf(400, { error: null }, null).code).toBe('BAD_ANSWER')
    expect(errorOf(400, { error: { code: 'VALIDATION_ERROR' } }, null).isTemporary).toBe(false)
  })
})

import { afterEach, beforeEach, describe, expect, it, vi, type Mock } from 'vitest'
import type { Reply } from '../../src/core/api'
import { ApiError } from '../../src/core/errors'
import { Reports } from '../../src/core/report'
import { MovedClock, START } from './tools'

let raw: Mock<(...given: unknown[]) => Promise<Reply>>
let isIn: boolean
const reports = () => new Reports({ raw }, new MovedClock().clock, 'web', '1.0', () => isIn)
const sent = (call = 0) => (raw.mock.calls[call]?.[2] as { body: { reports: Record<string, unknown>[] } }).body.reports

beforeEach(() => {
  vi.useFakeTimers()
  raw = vi.fn(async () => ({ status: 200, body: {}, etag: null }))
  isIn = true
})
afterEach(() => vi.useRealTimers())

describe('reports', () => {
  it('are bundled, and say nothing of anybody', async () => {
    const made = reports()
    made.timing('start', 812.4)
    made.timing('start', -1)
    made.timing('start', 10_000_000)
    made.error(new TypeError('at https://pager.test/x?t=1 for ana@pager.test with eyJhbGciOiJFUzI1NiIsInR5cCI6IkpX.abc'))
    await vi.advanceTimersByTimeAsync(30_000)
    expect(raw).toHaveBeenCalledOnce()
    const at = new Date(START).toISOString()
    expect(sent()).toEqual([
      { kind: 'timing', name: 'start', milliseconds: 812, at, appVersion: '1.0', platform: 'web' },
      { kind: 'error', name: 'app.TypeError', message: 'at <url> for <address> with <id>', at, appVersion: '1.0', platform: 'web' },
    ])
    await made.send()
    expect(raw).toHaveBeenCalledOnce()
  })

  it('a loop says the same five times, and fifty are the most', async () => {
    const made = reports()
    for (let n = 0; n < 20; n += 1) made.error('same')
    for (let n = 0; n < 60; n += 1) made.timing('tap_to_committed', n)
    await made.send()
    expect(sent()).toHaveLength(50)
    expect(sent()[0]?.['kind']).toBe('timing')
  })

  it('wait for a gateway that is away, and for somebody', async () => {
    isIn = false
    const made = reports()
    made.error('x')
    await made.send()
    expect(raw).not.toHaveBeenCalled()
    isIn = true
    raw.mockRejectedValueOnce(new ApiError(0, 'NETWORK', ''))
    await made.send()
    await made.send()
    expect(sent(1)).toEqual(sent(0))
  })

  it('a gateway without the door is asked once, and what it refuses is not said again', async () => {
    const made = reports()
    made.error('x')
    raw.mockRejectedValueOnce(new ApiError(400, 'VALIDATION_ERROR', ''))
    await made.send()
    made.error('y')
    raw.mockRejectedValueOnce(new ApiError(404, 'NOT_FOUND', ''))
    await made.send()
    made.error('z')
    await made.send()
    expect(raw).toHaveBeenCalledTimes(2)
    expect(sent(1)).toHaveLength(1)
  })

  it('hear what nobody has caught, and go when the page does', async () => {
    const made = reports()
    made.listen(window)
    window.dispatchEvent(new ErrorEvent('error', { error: new RangeError('far') }))
    window.dispatchEvent(new ErrorEvent('error', { message: 'plain' }))
    window.dispatchEvent(Object.assign(new Event('unhandledrejection'), { reason: 'promised' }))
    vi.spyOn(document, 'visibilityState', 'get').mockReturnValue('hidden')
    document.dispatchEvent(new Event('visibilitychange'))
    expect(sent().map((one) => one['name'])).toEqual(['page.RangeError', 'page.Error', 'promise.Error'])
  })
})

import { afterEach, beforeEach, describe, expect, it, vi, type Mock } from 'vitest'
import { Live } from '../../src/core/live'
import { incident, MovedClock, START } from './tools'

class Socket {
  static all: Socket[] = []
  readyState = 1
  said: unknown[] = []
  closed = false
  onopen: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: ((event: { code: number }) => void) | null = null
  constructor() {
    Socket.all.push(this)
  }
  send(text: string) {
    this.said.push(JSON.parse(text))
  }
  close() {
    this.closed = true
  }
  hears(frame: unknown) {
    this.onmessage?.({ data: typeof frame === 'string' ? frame : JSON.stringify(frame) })
  }
}

const listener = { list: vi.fn(), told: vi.fn(), gone: vi.fn(), live: vi.fn() }
const ready = { type: 'ready', position: 'p1', expiresAt: null, heartbeatSeconds: 15, live: true }
let moved: MovedClock
let token: string | null
let renew: Mock<(refused: string) => Promise<string | null>>

function live(): Live {
  const at = { address: () => 'wss://pager.test', token: async () => token, renew, clock: moved.clock, listener }
  return new Live({ ...at, socket: () => new Socket() as never, random: () => 1 })
}
async function open(stream: Live): Promise<Socket> {
  stream.start()
  await vi.advanceTimersByTimeAsync(0)
  const socket = Socket.all.at(-1)!
  socket.onopen?.()
  return socket
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.clearAllMocks()
  Socket.all = []
  moved = new MovedClock()
  token = 't1'
  renew = vi.fn(async () => 't2')
})
afterEach(() => vi.useRealTimers())

describe('the stream', () => {
  it('says its token first, lists when it is ready and tells what comes', async () => {
    const stream = live()
    const socket = await open(stream)
    stream.start() // once
    expect(socket.said).toEqual([{ type: 'authenticate', token: 't1' }])
    socket.hears(ready)
    expect(listener.list).toHaveBeenCalledWith('ready')
    expect(listener.live).toHaveBeenLastCalledWith(true)
    socket.hears({ type: 'IncidentAcknowledged', position: 'p2', incident: incident('i1') })
    socket.hears({ type: 'gone', position: 'p3', incident: { id: 'i2' } })
    socket.hears({ type: 'reset', position: 'p4', reason: 'too_old' })
    socket.hears({ type: 'heartbeat', position: 'p5', live: false, at: new Date(START + 60_000).toISOString() })
    expect(listener.told).toHaveBeenCalledWith('IncidentAcknowledged', expect.objectContaining({ id: 'i1' }))
    expect(listener.gone).toHaveBeenCalledWith('i2')
    expect(listener.list).toHaveBeenLastCalledWith('reset')
    expect(listener.live).toHaveBeenLastCalledWith(false)
    expect(moved.clock.offset).toBe(60_000)
    expect(stream.position).toBe('p5')
    stream.stop()
  })

  it('goes on from where it was, after a wait that grows', async () => {
    const stream = live()
    const first = await open(stream)
    first.hears(ready)
    first.onclose?.({ code: 1006 })
    expect(listener.live).toHaveBeenLastCalledWith(false)
    await vi.advanceTimersByTimeAsync(999)
    expect(Socket.all).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    Socket.all[1]!.onopen?.()
    expect(Socket.all[1]!.said).toEqual([{ type: 'authenticate', token: 't1', after: 'p1' }])
    Socket.all[1]!.onclose?.({ code: 1006 })
    await vi.advanceTimersByTimeAsync(1_999)
    expect(Socket.all).toHaveLength(2)
    stream.hurry()
    await vi.advanceTimersByTimeAsync(0)
    expect(Socket.all).toHaveLength(3)
    stream.hurry() // nothing waits
    stream.stop(true)
    expect(stream.position).toBeNull()
    first.hears({ type: 'gone', position: 'p9', incident: { id: 'late' } })
    expect(listener.gone).not.toHaveBeenCalled()
  })

  it('comes back when a replica that goes says', async () => {
    const stream = live()
    const socket = await open(stream)
    socket.hears({ type: 'closing', retryAfter: 7 })
    socket.onclose?.({ code: 1012 })
    await vi.advanceTimersByTimeAsync(6_999)
    expect(Socket.all).toHaveLength(1)
    await vi.advanceTimersByTimeAsync(1)
    expect(Socket.all).toHaveLength(2)
    stream.stop()
  })

  it('a silent line is dead', async () => {
    const stream = live()
    const socket = await open(stream)
    socket.hears({ ...ready, heartbeatSeconds: 10 })
    await vi.advanceTimersByTimeAsync(24_999)
    expect(socket.closed).toBe(false)
    await vi.advanceTimersByTimeAsync(1)
    expect(socket.closed).toBe(true)
    await vi.advanceTimersByTimeAsync(1_000)
    expect(Socket.all).toHaveLength(2)
    stream.stop()
  })

  it('shows another token before the first one ends, and after it was refused', async () => {
    const stream = live()
    const socket = await open(stream)
    socket.hears({ type: 'expiring', expiresAt: new Date(START).toISOString() })
    await vi.advanceTimersByTimeAsync(0)
    expect(renew).toHaveBeenCalledWith('t1')
    expect(socket.said[1]).toEqual({ type: 'authenticate', token: 't2' })
    socket.onclose?.({ code: 4401 })
    await vi.advanceTimersByTimeAsync(1_000)
    expect(renew).toHaveBeenLastCalledWith('t2')
    renew.mockImplementation(async () => null)
    Socket.all[1]!.hears({ type: 'expiring', expiresAt: '' })
    Socket.all[1]!.onclose?.({ code: 4401 })
    await vi.advanceTimersByTimeAsync(60_000)
    expect(Socket.all).toHaveLength(2) // nobody is signed in any more
  })

  it('begins anew where its position is none, and ends where it may not', async () => {
    const stream = live()
    const first = await open(stream)
    first.hears(ready)
    first.onclose?.({ code: 4400 })
    expect(stream.position).toBeNull()
    await vi.advanceTimersByTimeAsync(1_000)
    Socket.all[1]!.onclose?.({ code: 4403 })
    await vi.advanceTimersByTimeAsync(600_000)
    expect(Socket.all).toHaveLength(2)
  })

  it('waits where no token is to be had, and where there is no socket', async () => {
    const at = { address: () => '', clock: moved.clock, listener, renew, random: () => 1 }
    const token = vi.fn<() => Promise<string | null>>().mockRejectedValueOnce(new Error('away')).mockResolvedValue('t')
    const socket = vi.fn(() => {
      throw new Error('no socket')
    })
    const stream = new Live({ ...at, token, socket })
    stream.start()
    await vi.advanceTimersByTimeAsync(3_100)
    expect(token.mock.calls.length).toBeGreaterThan(1)
    expect(socket).toHaveBeenCalled()
    stream.stop()
  })

  it.each([
    ['no JSON', '{'],
    ['no object', 'null'],
    ['no type', { position: 'p9' }],
    ['too much', JSON.stringify({ type: 'X', position: 'p9', more: 'x'.repeat(1_000_001) })],
  ])('ignores a frame that is %s', async (_what, frame) => {
    const stream = live()
    const socket = await open(stream)
    socket.hears(frame)
    socket.hears({ type: 'IncidentCreated', incident: { id: 'i1' } })
    socket.hears({ type: 'gone', incident: {}, position: 'x'.repeat(201) })
    socket.hears({ type: 'ready', heartbeatSeconds: 0, live: 'yes' })
    socket.hears({ type: 'closing', retryAfter: 9_999 })
    socket.hears({ type: 'heartbeat' })
    expect([listener.told.mock.calls, listener.gone.mock.calls, stream.position]).toEqual([[], [], null])
    stream.stop()
  })
})

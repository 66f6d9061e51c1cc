/** What becomes of incidents, as it happens (docs/stream.md): resumed where it broke off, renewed before it ends. */

import type { Incident } from './api'
import { backoff } from './backoff'
import type { Clock } from './clock'

export interface Listener {
  /** List again: what was missed cannot be told, or this is the beginning. */
  list(reason: 'ready' | 'reset'): void
  /** How an incident stands now; `type`: the event's name. */
  told(type: string, incident: Incident): void
  gone(id: string): void
  /** Whether what happens is told at once. */
  live(isLive: boolean): void
}

export interface Surroundings {
  address: () => string
  token: () => Promise<string | null>
  /** A token was refused: another one, or null where the session is over. */
  renew: (refused: string) => Promise<string | null>
  clock: Clock
  listener: Listener
  socket?: (address: string) => WebSocket
  random?: () => number
}

/** A line that is silent for so many heartbeats is dead. */
const MISSED = 2.5
const FIRST_WORD = 10_000
const LONGEST_FRAME = 1_000_000

type Frame = { type: string; position?: string; incident?: unknown } & Record<string, unknown>

export class Live {
  /** The last position that was handled. */
  position: string | null = null
  private socket: WebSocket | null = null
  private watchdog: ReturnType<typeof setTimeout> | null = null
  private waiting: ReturnType<typeof setTimeout> | null = null
  private attempts = 0
  private running = false
  private heartbeat = 15_000
  private shown: string | null = null
  private comeBackIn: number | null = null
  private refused = false

  constructor(private readonly at: Surroundings) {}

  start(): void {
    if (this.running) return
    this.running = true
    void this.connect()
  }

  /** The app is in front again, or there is a network: not after the wait, but now. */
  hurry(): void {
    if (!this.running || this.waiting === null) return
    this.cease()
    void this.connect()
  }

  /** `forget`: another person must not go on from this one's position. */
  stop(forget = false): void {
    this.running = false
    this.cease()
    const socket = this.socket
    this.socket = null
    socket?.close(1000)
    if (forget) this.position = null
    this.at.listener.live(false)
  }

  private cease(): void {
    if (this.watchdog !== null) clearTimeout(this.watchdog)
    if (this.waiting !== null) clearTimeout(this.waiting)
    this.watchdog = this.waiting = null
  }

  private async connect(): Promise<void> {
    let token: string | null
    try {
      token = this.refused && this.shown !== null ? await this.at.renew(this.shown) : await this.at.token()
    } catch {
      return this.later()
    }
    this.refused = false
    if (!this.running || this.socket !== null) return
    if (token === null) return this.stop() // signing in starts it again
    this.shown = token
    let socket: WebSocket
    try {
      socket = this.at.socket?.(this.at.address()) ?? new WebSocket(this.at.address())
    } catch {
      return this.later()
    }
    this.socket = socket
    this.watch(FIRST_WORD)
    socket.onopen = () => this.say(socket, { type: 'authenticate', token, ...(this.position === null ? {} : { after: this.position }) })
    socket.onmessage = ({ data }) => {
      if (this.socket === socket) this.hear(socket, data)
    }
    socket.onclose = ({ code }) => {
      if (this.socket === socket) this.lost(code)
    }
  }

  private say(socket: WebSocket, frame: object): void {
    if (socket.readyState === 1) socket.send(JSON.stringify(frame))
  }

  private hear(socket: WebSocket, data: unknown): void {
    this.watch(this.heartbeat * MISSED)
    const frame = read(data)
    if (frame === null) return
    const { listener } = this.at
    switch (frame.type) {
      case 'ready': {
        this.attempts = 0
        const seconds = Number(frame['heartbeatSeconds'])
        if (seconds >= 1 && seconds <= 300) this.heartbeat = seconds * 1_000
        this.watch(this.heartbeat * MISSED)
        listener.live(frame['live'] === true)
        listener.list('ready')
        break
      }
      case 'reset':
        listener.list('reset')
        break
      case 'heartbeat':
        this.at.clock.correct(typeof frame['at'] === 'string' ? frame['at'] : null, this.at.clock.raw())
        listener.live(frame['live'] === true)
        break
      case 'expiring':
        void this.show(socket)
        break
      case 'closing': {
        const seconds = Number(frame['retryAfter'])
        this.comeBackIn = seconds >= 0 && seconds <= 300 ? seconds * 1_000 : null
        break
      }
      case 'gone': {
        const id = (frame.incident as { id?: unknown } | undefined)?.id
        if (typeof id === 'string') listener.gone(id)
        break
      }
      default:
        if (/^[A-Z]/.test(frame.type) && isIncident(frame.incident)) listener.told(frame.type, frame.incident)
    }
    // After it was handled: whoever dies in between is told again.
    if (typeof frame.position === 'string' && frame.position.length <= 200) this.position = frame.position
  }

  /** Another token in the place of the one that ends. */
  private async show(socket: WebSocket): Promise<void> {
    if (this.shown === null) return
    const token = await this.at.renew(this.shown).catch(() => null)
    if (token === null || this.socket !== socket) return
    this.shown = token
    this.say(socket, { type: 'authenticate', token })
  }

  private lost(code: number): void {
    this.socket = null
    if (!this.running) return
    this.cease()
    this.at.listener.live(false)
    if (code === 4403) return this.stop()
    this.refused = code === 4401
    // Something that we say or remember is wrong: begin anew.
    if (code === 4400) this.position = null
    this.later()
  }

  private later(): void {
    if (!this.running) return
    const wait = this.comeBackIn ?? backoff(this.attempts, 1_000, 30_000, this.at.random)
    this.comeBackIn = null
    this.attempts += 1
    this.waiting = setTimeout(() => {
      this.waiting = null
      void this.connect()
    }, wait)
  }

  private watch(milliseconds: number): void {
    if (this.watchdog !== null) clearTimeout(this.watchdog)
    this.watchdog = setTimeout(() => {
      const socket = this.socket
      if (socket === null) return
      this.lost(1006)
      socket.close()
    }, milliseconds)
  }
}

function read(data: unknown): Frame | null {
  if (typeof data !== 'string' || data.length > LONGEST_FRAME) return null
  try {
    const frame = JSON.parse(data) as Frame | null
    return typeof frame?.type === 'string' ? frame : null
  } catch {
    return null
  }
}

function isIncident(value: unknown): value is Incident {
  const one = value as Partial<Incident> | null | undefined
  return typeof one?.id === 'string' && typeof one.version === 'number' && typeof one.status === 'string'
}

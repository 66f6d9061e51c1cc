/** Errors and timings of real use, told to the gateway in bundles. No address, no text of an incident, no token. */

import type { Api } from './api'
import type { Clock } from './clock'

export type TimingName = 'start' | 'push_to_screen' | 'tap_to_committed'

interface Report {
  kind: 'error' | 'timing'
  name: string
  milliseconds?: number
  message?: string
  at: string
  appVersion: string
  platform: string
}

const MOST = 50
const EVERY = 30_000
const LONGEST = 500
/** Of one error in the life of a page: a loop must not fill anything. */
const REPEATS = 5
/** Longer than anything that somebody waits for: a phone that slept meanwhile. */
const SLOWEST = 600_000

export class Reports {
  private waiting: Report[] = []
  private timer: ReturnType<typeof setTimeout> | null = null
  private readonly counts = new Map<string, number>()
  private isUnwanted = false

  constructor(
    private readonly api: Pick<Api, 'raw'>,
    private readonly clock: Clock,
    private readonly platform: string,
    private readonly appVersion: string,
    private readonly isSignedIn: () => boolean,
  ) {}

  timing(name: TimingName, milliseconds: number): void {
    if (milliseconds >= 0 && milliseconds <= SLOWEST) this.add({ kind: 'timing', name, milliseconds: Math.round(milliseconds) })
  }

  error(error: unknown, where = 'app'): void {
    const name = error instanceof Error ? error.name : 'Error'
    const message = scrub(error instanceof Error ? error.message : String(error))
    const alike = `${where} ${name} ${message}`
    const times = (this.counts.get(alike) ?? 0) + 1
    if (this.counts.size < 200 || this.counts.has(alike)) this.counts.set(alike, times)
    if (times <= REPEATS) this.add({ kind: 'error', name: `${where}.${name}`.replace(/[^\w.:-]/g, '-').slice(0, 100), message })
  }

  /** Of what nobody has caught. */
  listen(page: Window): void {
    page.addEventListener('error', (event) => this.error(event.error ?? event.message, 'page'))
    page.addEventListener('unhandledrejection', (event) => this.error(event.reason, 'promise'))
    page.document.addEventListener('visibilitychange', () => {
      if (page.document.visibilityState === 'hidden') void this.send()
    })
  }

  async send(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    if (this.isUnwanted || !this.isSignedIn() || this.waiting.length === 0) return
    const reports = this.waiting.splice(0, MOST)
    try {
      await this.api.raw('post', '/api/v1/client-reports', { body: { reports } })
    } catch (error) {
      const status = (error as { status?: unknown }).status
      if (status === 404) this.isUnwanted = true // a gateway without this door
      // What was refused is not said again; what was not heard is, as long as there is room.
      else if (status === 0 || status === 429 || status === 503) this.waiting = [...reports, ...this.waiting].slice(0, MOST)
    }
  }

  private add(report: Pick<Report, 'kind' | 'name' | 'milliseconds' | 'message'>): void {
    if (this.isUnwanted) return
    const at = new Date(this.clock.now()).toISOString()
    this.waiting.push({ ...report, at, appVersion: this.appVersion, platform: this.platform })
    if (this.waiting.length > MOST) this.waiting.shift()
    this.timer ??= setTimeout(() => void this.send(), EVERY)
  }
}

/** Addresses, tokens and ids say nothing about an error, and are nobody's business. */
function scrub(text: string): string {
  return text
    .replace(/\b\w+:\/\/\S+/g, '<url>')
    .replace(/\b[A-Za-z0-9_-]{24,}(\.[A-Za-z0-9_-]+)*/g, '<id>')
    .replace(/\S+@\S+/g, '<address>')
    .slice(0, LONGEST)
}

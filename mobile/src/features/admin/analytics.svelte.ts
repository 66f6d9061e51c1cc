/** Numbers of a period: asked for together, each shown as soon as it is there. */

import type { Schemas } from '../../core/api'
import { app } from '../../core/app.svelte'
import { errorOf } from '../../core/errors'
import { ownZone } from '../oncall/zones'
import { t, tongue } from './words'

export const PERIODS = ['7', '30', '90', '365'] as const
export const KINDS = ['summary', 'response', 'load', 'noise'] as const
export type Kind = (typeof KINDS)[number]
const DAY = 86_400_000

export class Analytics {
  period = $state<string>('30')
  teamId = $state('')
  summary = $state.raw<Schemas['Summary'] | null>(null)
  response = $state.raw<Schemas['Response'] | null>(null)
  load = $state.raw<Schemas['Load'] | null>(null)
  noise = $state.raw<Schemas['Noise'] | null>(null)
  errors = $state.raw<Partial<Record<Kind, unknown>>>({})
  isLoading = $state(false)
  private asked = 0

  /** The same moments for all of them, so that they speak of the same incidents. */
  private query(now: number): { from: string; to: string; teamId?: string } {
    const query = { from: new Date(now - Number(this.period) * DAY).toISOString(), to: new Date(now).toISOString() }
    return this.teamId === '' ? query : { ...query, teamId: this.teamId }
  }

  async ask(): Promise<void> {
    const mine = (this.asked += 1)
    const query = this.query(app.clock.now())
    this.isLoading = true
    this.errors = {}
    const take = async <Value>(kind: Kind, answer: Promise<Value>, put: (value: Value | null) => void) => {
      try {
        const value = await answer
        if (mine === this.asked) put(value)
      } catch (error) {
        if (mine !== this.asked) return
        // Numbers of another period must not stand under this one.
        put(null)
        this.errors = { ...this.errors, [kind]: error }
      }
    }
    await Promise.all([
      take('summary', app.api.get('/api/v1/analytics/summary', { query: { ...query, timezone: ownZone() } }) as Promise<Schemas['Summary']>, (value) => (this.summary = value)),
      take('response', app.api.get('/api/v1/analytics/response', { query }) as Promise<Schemas['Response']>, (value) => (this.response = value)),
      take('load', app.api.get('/api/v1/analytics/load', { query }) as Promise<Schemas['Load']>, (value) => (this.load = value)),
      take('noise', app.api.get('/api/v1/analytics/noise', { query }) as Promise<Schemas['Noise']>, (value) => (this.noise = value)),
    ])
    if (mine === this.asked) this.isLoading = false
  }

  /** The same as a table for other programs. Raises ApiError. */
  async csv(kind: Kind, send: typeof fetch = (...given) => fetch(...given)): Promise<Blob> {
    const query = new URLSearchParams({ ...this.query(app.clock.now()), format: 'csv' })
    const token = (await app.auth.get()) ?? ''
    const answer = await send(`${app.api.base}/api/v1/analytics/${kind}?${query}`, {
      headers: { Accept: 'text/csv', Authorization: `Bearer ${token}` },
      credentials: 'omit',
      cache: 'no-store',
      redirect: 'error',
      signal: AbortSignal.timeout(30_000),
    })
    if (!answer.ok) throw errorOf(answer.status, await answer.json().catch(() => null), answer.headers.get('Retry-After'))
    return answer.blob()
  }
}

/** `2 min 5 s`, `3 h 10 min`; a dash where there is no number. */
export function secondsText(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined) return '–'
  const said = new Intl.NumberFormat(tongue(), { maximumFractionDigits: seconds < 10 ? 1 : 0 })
  if (seconds < 1) return t('admin.seconds', { count: `< ${said.format(1)}` })
  if (seconds < 60) return t('admin.seconds', { count: said.format(seconds) })
  const minutes = Math.round(seconds / 60)
  if (minutes < 60) {
    const rest = Math.round(seconds) % 60
    const whole = Math.floor(Math.round(seconds) / 60)
    return rest === 0 ? t('admin.minutes', { count: whole }) : `${t('admin.minutes', { count: whole })} ${t('admin.seconds', { count: rest })}`
  }
  const rest = minutes % 60
  const hours = t('admin.hoursCount', { count: new Intl.NumberFormat(tongue()).format(Math.floor(minutes / 60)) })
  return rest === 0 ? hours : `${hours} ${t('admin.minutes', { count: rest })}`
}

/** Hands a file to whoever looks at the page. */
export function download(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  // The browser has begun to read it by then.
  setTimeout(() => URL.revokeObjectURL(address), 60_000)
}

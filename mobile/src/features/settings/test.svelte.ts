/** A page about nothing to one of one's own devices: what becomes of it, as it is known. */

import type { Schemas } from '../../core/api'
import { app } from '../../core/app.svelte'
import { t, timeText, type MessageName } from '../../core/i18n'
import { errorText } from '../../core/words'

type Told = Schemas['NotificationView']
const RECEIPTS = ['received', 'displayed', 'opened'] as const
export interface Step {
  text: string
  /** null: it did not happen yet. */
  at: string | null
}

const EVERY = 1_500
const LATE = 30_000
const LONGEST = 180_000

export class TestPage {
  told = $state.raw<Told | null>(null)
  error = $state<string | null>(null)
  isLate = $state(false)
  private begun = 0
  private timer: ReturnType<typeof setTimeout> | null = null

  readonly receipts: readonly Step[] = $derived(
    RECEIPTS.map((name) => ({ text: t(`test.${name}`), at: this.told?.receipts?.[name] ?? null })),
  )
  readonly hasCome = $derived(this.told?.receipts?.received != null)
  readonly hasFailed = $derived(this.told?.state === 'failed')

  /** What the push services said, each time. */
  readonly attempts: readonly Step[] = $derived(
    (this.told?.attempts ?? []).map(({ attempt, at, outcome, reason }) => ({
      text: t('test.attempt', { attempt, outcome: reason == null || reason === outcome ? outcome : `${outcome} (${reason})` }),
      at,
    })),
  )
  readonly words = $derived(this.told === null ? '' : t(`test.${this.told.state}` as MessageName))

  async begin(deviceId: string): Promise<void> {
    this.stop()
    this.told = null
    this.error = null
    this.isLate = false
    this.begun = app.clock.raw()
    try {
      this.told = (await app.api.post('/api/v1/devices/{deviceId}/test', { path: { deviceId } })).notification
      this.later()
    } catch (error) {
      this.error = errorText(error)
    }
  }

  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
  }

  time(at: string): string {
    return timeText(at, app.now)
  }

  private later(): void {
    this.timer = setTimeout(() => void this.look(), EVERY)
  }

  private async look(): Promise<void> {
    const waited = app.clock.raw() - this.begun
    try {
      const { notification } = await app.api.get('/api/v1/notifications/{id}', { path: { id: this.told?.id ?? '' } })
      if (this.timer === null) return // closed meanwhile
      this.told = notification
    } catch (error) {
      this.error = errorText(error)
    }
    this.isLate = waited >= LATE && !this.hasCome
    const isOver = this.told?.receipts?.opened != null || this.hasFailed || waited >= LONGEST
    if (!isOver && this.timer !== null) this.later()
  }
}

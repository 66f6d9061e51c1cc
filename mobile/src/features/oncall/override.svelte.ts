/** An override that is being made: who, from when to when by the schedule's clock, and what it would change. */

import { app } from '../../core/app.svelte'
import { Form } from '../../ui/form/form.svelte'
import { stretches, withOverride, type Override, type Schedule, type Shift, type Stretch } from './plan'
import { mayCover } from './rights'
import type { OnCallStore } from './store.svelte'
import { t } from './words'
import { instantOf, knownZone, localText } from './zones'

const HOUR = 3_600_000
/** As much around it is looked at as is needed to see who would have been there. */
const MOST_PREVIEW = 92 * 24 * HOUR

export class Draft {
  readonly form = new Form(['userId', 'startTime', 'endTime', 'replaces'])
  readonly zone: string
  userId = $state('')
  from = $state('')
  to = $state('')
  replaces = $state('')
  private shifts = $state.raw<readonly Shift[] | null>(null)
  private seen = ''

  constructor(
    private readonly store: OnCallStore,
    readonly schedule: Schedule,
    stretch?: { from: number; to: number; userId: string | null },
  ) {
    this.zone = knownZone(schedule.timezone)
    const now = app.clock.now()
    const next = Math.ceil(now / HOUR) * HOUR
    const from = stretch === undefined ? next : Math.max(stretch.from, now)
    this.userId = app.user !== null && mayCover(schedule) ? app.user.id : ''
    // A minute is what a field can say: rounded up, so that it does not begin before it was asked for.
    this.from = localText(Math.ceil(from / 60_000) * 60_000, this.zone)
    this.to = localText(stretch?.to ?? next + 8 * HOUR, this.zone)
  }

  readonly start = $derived.by(() => instantOf(this.from, this.zone))
  readonly end = $derived.by(() => instantOf(this.to, this.zone))

  /** What is odd about a wall clock that was entered. */
  odd(which: 'start' | 'end', say: (at: number) => string): string | null {
    const instant = this[which]
    if (instant?.isSkipped) return t('oncall.skipped', { time: say(instant.at) })
    return instant?.isTwice ? t('oncall.twice') : null
  }

  /** Ask for what is planned there, if that was not done. */
  async look(): Promise<void> {
    const { start, end } = this
    if (start === null || end === null || end.at <= start.at || end.at - start.at > MOST_PREVIEW) {
      this.shifts = null
      this.seen = ''
      return
    }
    const mine = `${start.at} ${end.at}`
    if (mine === this.seen) return
    this.seen = mine
    try {
      const shifts = await this.store.shifts(this.schedule.id, start.at, end.at)
      if (this.seen === mine) this.shifts = shifts
    } catch {
      // Without a preview it can be made all the same: the gateway says whether it may be.
      if (this.seen === mine) this.shifts = null
      this.seen = ''
    }
  }

  /** Who is planned now, and who would be. Null where that is not known. */
  readonly preview = $derived.by<{ before: Stretch[]; after: Stretch[]; isSame: boolean } | null>(() => {
    const { start, end, shifts } = this
    if (start === null || end === null || shifts === null || end.at <= start.at || this.userId === '') return null
    const before = stretches(shifts, start.at, end.at)
    const made = { userId: this.userId, from: start.at, to: end.at, replaces: this.replaces === '' ? null : this.replaces }
    const after = stretches(withOverride(shifts, made), start.at, end.at)
    const who = (all: Stretch[]) => all.map((one) => `${one.from} ${one.to} ${one.userId}`).join()
    return { before, after, isSame: who(before) === who(after) }
  })

  /** People whose turns there are, besides whoever takes over. */
  readonly replaceable = $derived([...new Set((this.shifts ?? []).map((shift) => shift.userId))].filter((id) => id !== this.userId))

  /** The override, or null where it was refused: the form says why. */
  async send(): Promise<Override | null> {
    this.form.clear()
    const { start, end } = this
    if (this.userId === '') this.form.fail('userId', t('oncall.who'))
    if (start === null) this.form.fail('startTime', t('oncall.needsMoment'))
    if (end === null) this.form.fail('endTime', t('oncall.needsMoment'))
    else if (start !== null && end.at <= start.at) this.form.fail('endTime', t('oncall.endBeforeStart'))
    if (this.userId === '' || start === null || end === null || end.at <= start.at) return null
    let made: Override | null = null
    const replaces = this.replaceable.includes(this.replaces) ? this.replaces : null
    const body = { userId: this.userId, startTime: new Date(start.at).toISOString(), endTime: new Date(end.at).toISOString(), replaces }
    await this.form.send(async () => (made = await this.store.makeOverride(this.schedule.id, body)))
    return made
  }
}

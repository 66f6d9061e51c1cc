/** What stretches of a plan are called. */

import { tongue, tn, t } from './words'
import type { Day, Stretch } from './plan'
import { clockText, momentText } from './zones'

/** `3 h`, `30 min`, `1 h 30 min`. */
export function lengthText(milliseconds: number): string {
  const minutes = Math.round(milliseconds / 60_000)
  const said = new Intl.NumberFormat(tongue())
  const parts: string[] = []
  if (minutes >= 60) parts.push(t('oncall.hours', { count: said.format(Math.floor(minutes / 60)) }))
  if (minutes % 60 > 0 || minutes === 0) parts.push(t('oncall.minutes', { count: said.format(minutes % 60) }))
  return parts.join(' ')
}

/** `09:00 – 24:00` on a day: the end of a day is not the beginning of the next. */
export function withinDay(stretch: Stretch, day: Day, zone: string): string {
  const end = stretch.to === day.to ? '24:00' : clockText(stretch.to, zone, tongue())
  return `${clockText(stretch.from, zone, tongue())} – ${end}`
}

export function whoText(stretch: Stretch, nameOf: (id: string) => string | null): string {
  if (stretch.userId === null) return t('oncall.gap')
  const name = nameOf(stretch.userId) ?? '…'
  return stretch.isOverride ? `${name} (${t('oncall.override')})` : name
}

/** All of a day in a sentence, for who does not see it. */
export function dayPlan(day: Day, zone: string, nameOf: (id: string) => string | null): string {
  return day.stretches.map((stretch) => `${withinDay(stretch, day, zone)} ${whoText(stretch, nameOf)}`).join(', ')
}

/** How many holes a week has, and how long they are together. */
export function gapsText(week: readonly Day[]): string {
  let count = 0
  let length = 0
  let end = Number.NaN
  for (const stretch of week.flatMap((day) => day.stretches)) {
    if (stretch.userId !== null) continue
    if (stretch.from !== end) count += 1
    end = stretch.to
    length += stretch.to - stretch.from
  }
  return count === 0 ? t('oncall.noGaps') : tn('oncall.gaps', count, { hours: lengthText(length) })
}

/** A moment on the clock here, and on the clock there where that reads something else. */
export function bothText(at: number, own: string, zone: string, isSame: boolean, now: number): string {
  const here = momentText(at, own, tongue(), now)
  return isSame ? here : `${here} (${t('oncall.there', { time: momentText(at, zone, tongue(), now), zone: zone.replaceAll('_', ' ') })})`
}

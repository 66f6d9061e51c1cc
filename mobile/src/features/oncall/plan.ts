/** Shifts as people look at them: stretches without holes, holes by name, days of a week. Pure. */

import type { Schemas } from '../../core/api'
import { addDays, startOf } from './zones'

export type Shift = Schemas['Shift']
export type Schedule = Schemas['ScheduleView']
export type Override = Schemas['OverrideView']

/** `[from, to)` in milliseconds, of a person, or of nobody. */
export interface Stretch {
  from: number
  to: number
  userId: string | null
  isOverride: boolean
  layer: number | null
}

/**
 * All of `[from, to)`, in order and without holes. Where shifts overlap, each is shown in the part that begins with it: the
 * gateway's do not overlap, and what is kept from before a change may.
 */
export function stretches(shifts: readonly Shift[], from: number, to: number): Stretch[] {
  const found: Stretch[] = []
  let at = from
  const sorted = shifts
    .map((shift) => ({ shift, start: Date.parse(shift.startTime), end: Date.parse(shift.endTime) }))
    .filter(({ start, end }) => end > from && start < to && end > start)
    .sort((one, other) => one.start - other.start || one.end - other.end)
  for (const { shift, start, end } of sorted) {
    const begin = Math.max(start, at)
    const stop = Math.min(end, to)
    if (stop <= begin) continue
    if (begin > at) found.push(nobody(at, begin))
    const last = found.at(-1)
    const isOverride = shift.isOverride ?? false
    if (last?.userId === shift.userId && last.to === begin && last.isOverride === isOverride) last.to = stop
    else found.push({ from: begin, to: stop, userId: shift.userId, isOverride, layer: shift.layer })
    at = stop
  }
  if (at < to) found.push(nobody(at, to))
  return found
}

function nobody(from: number, to: number): Stretch {
  return { from, to, userId: null, isOverride: false, layer: null }
}

export interface Day {
  day: string
  from: number
  to: number
  stretches: Stretch[]
}

/** Days of a zone, from the midnight that begins each: 23, 24 or 25 hours long. */
export function days(shifts: readonly Shift[], first: string, count: number, zone: string): Day[] {
  return Array.from({ length: count }, (_, index) => {
    const day = addDays(first, index)
    const from = startOf(day, zone)
    const to = startOf(addDays(day, 1), zone)
    return { day, from, to, stretches: stretches(shifts, from, to) }
  })
}

/** A person's shifts from `now` on; what goes on without a break, also across an override of their own, is one. */
export function shiftsOf(userId: string, shifts: readonly Shift[], now: number): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = []
  const mine = shifts.filter((shift) => shift.userId === userId)
  for (const shift of mine.map((one) => ({ from: Date.parse(one.startTime), to: Date.parse(one.endTime) })).sort((a, b) => a.from - b.from)) {
    if (shift.to <= now) continue
    const last = found.at(-1)
    if (last !== undefined && shift.from <= last.to) last.to = Math.max(last.to, shift.to)
    else found.push(shift)
  }
  return found
}

/** Shifts as they would be with one more override, as far as it reaches: it lies over everything else. */
export function withOverride(shifts: readonly Shift[], made: { userId: string; from: number; to: number; replaces: string | null }): Shift[] {
  const result: Shift[] = []
  const covered: { from: number; to: number }[] = []
  for (const shift of shifts) {
    const start = Date.parse(shift.startTime)
    const end = Date.parse(shift.endTime)
    const from = Math.max(start, made.from)
    const to = Math.min(end, made.to)
    if (to <= from || (made.replaces !== null && shift.userId !== made.replaces)) {
      result.push(shift)
      continue
    }
    covered.push({ from, to })
    if (start < from) result.push({ ...shift, endTime: iso(from) })
    if (to < end) result.push({ ...shift, startTime: iso(to) })
  }
  // Without `replaces` it fills holes as well.
  for (const { from, to } of made.replaces === null && made.to > made.from ? [made] : covered) {
    result.push({ userId: made.userId, startTime: iso(from), endTime: iso(to), layer: 0, isOverride: true })
  }
  return result
}

function iso(at: number): string {
  return new Date(at).toISOString()
}

/** Whether somebody has a turn in a schedule: in a layer, or by an override. */
export function isIn(schedule: Schedule, userId: string): boolean {
  return (
    schedule.layers.some((layer) => layer.participants.includes(userId)) ||
    (schedule.overrides ?? []).some((override) => override.userId === userId)
  )
}

/** Everybody in a plan, always in the same order, so that each keeps their colour from week to week. */
export function peopleOf(schedule: Schedule, shifts: readonly Shift[] = []): string[] {
  return [
    ...new Set([
      ...schedule.layers.flatMap((layer) => layer.participants),
      ...(schedule.overrides ?? []).map((override) => override.userId),
      ...shifts.map((shift) => shift.userId),
    ]),
  ]
}

/** Letters for a small place: of the first and the last word. */
export function initials(name: string): string {
  const words = name.split(/\s+/).filter(Boolean)
  const letters = words.filter((_, index) => index === 0 || index === words.length - 1).map((word) => [...word][0] ?? '')
  return letters.join('').toUpperCase() || '?'
}

export const COLOURS = 8

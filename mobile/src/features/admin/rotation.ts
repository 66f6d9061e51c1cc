/**
 * Whose turns layers make, before they are saved: for a preview. It computes as the on-call service does (a turn begins
 * when the zone's wall clock reads the layer's start plus n units); what is saved is computed there alone.
 */

import type { Schemas } from '../../core/api'
import { stretches, type Shift } from '../oncall/plan'
import { instantOf, localText } from '../oncall/zones'

export type Layer = Schemas['Layer']
type Restriction = Schemas['Restriction']

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Layers that make more turns than a picture can show are shown as far as these go. */
const MOST = 5_000
const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
const UNITS: Record<string, number> = { hourly: HOUR, daily: DAY, weekly: 7 * DAY }

/** Milliseconds of an ISO 8601 duration in weeks to seconds; null: it is none. */
export function duration(text: string): number | null {
  const found = /^P(?:(\d{1,4})W)?(?:(\d{1,5})D)?(T(?:(\d{1,6})H)?(?:(\d{1,7})M)?(?:(\d{1,8})S)?)?$/.exec(text)
  if (found === null || found[3] === 'T') return null
  const [weeks, days, , hours, minutes, seconds] = found.slice(1).map((part) => Number(part ?? 0))
  const all = weeks! * 7 * DAY + days! * DAY + hours! * HOUR + minutes! * 60_000 + seconds! * 1_000
  return all > 0 ? all : null
}

/** `PT8H30M`. */
export function durationText(milliseconds: number): string {
  const minutes = Math.round(milliseconds / 60_000)
  const rest = minutes % 60
  return `PT${minutes >= 60 ? `${Math.floor(minutes / 60)}H` : ''}${rest > 0 || minutes < 60 ? `${rest}M` : ''}`
}

/** A wall clock as if it were UTC: turns are counted on it. */
const read = (text: string) => (/^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(text) ? Date.parse(`${text.slice(0, 16)}:00Z`) : Number.NaN)
const moment = (wall: number, zone: string) => instantOf(new Date(wall).toISOString().slice(0, 16), zone)!.at

function boundary(layer: Layer, turn: number): number {
  const start = read(layer.start)
  if (layer.rotationType !== 'monthly') return start + turn * period(layer)
  const at = new Date(start)
  const month = at.getUTCFullYear() * 12 + at.getUTCMonth() + turn * (layer.interval ?? 1)
  const last = new Date(Date.UTC(Math.floor(month / 12), (month % 12) + 1, 0)).getUTCDate()
  return Date.UTC(Math.floor(month / 12), month % 12, Math.min(at.getUTCDate(), last), at.getUTCHours(), at.getUTCMinutes())
}

/** A turn on the wall clock, in milliseconds; 0: it is none. */
export function period(layer: Layer): number {
  const unit = layer.rotationType === 'custom' ? (duration(layer.shiftLength ?? '') ?? 0) : (UNITS[layer.rotationType ?? 'weekly'] ?? 0)
  return unit * (layer.interval ?? 1)
}

/** Shifts of a layer that overlap `[from, to)`. A layer that is not whole yet makes none. */
function turns(layer: Layer, index: number, zone: string, from: number, to: number): Shift[] {
  const isMonthly = layer.rotationType === 'monthly'
  const length = isMonthly ? 28 * DAY * (layer.interval ?? 1) : period(layer)
  if (layer.participants.length === 0 || Number.isNaN(read(layer.start)) || !(length >= HOUR)) return []
  const last = layer.end ? moment(read(layer.end), zone) : Number.POSITIVE_INFINITY
  const local = read(localText(from, zone)) - 2 * DAY
  // Months are at most 31 days long: beginning too early costs a few turns that are not shown.
  const about = Math.floor((local - read(layer.start)) / (isMonthly ? 31 * DAY * (layer.interval ?? 1) : length))
  let turn = Math.max(0, about - 1)
  let start = moment(boundary(layer, turn), zone)
  const found: Shift[] = []
  while (start < to && start < last && found.length < MOST) {
    const following = Math.max(start, moment(boundary(layer, turn + 1), zone))
    const end = Math.min(following, last)
    if (end > from && end > start) {
      const userId = layer.participants[turn % layer.participants.length]!
      found.push({ userId, startTime: iso(start), endTime: iso(end), layer: index, isOverride: false })
    }
    start = following
    turn += 1
  }
  return found
}

function windows(restrictions: readonly Restriction[], zone: string, from: number, to: number): { from: number; to: number }[] {
  const found: { from: number; to: number }[] = []
  for (let day = Math.floor((from - 9 * DAY) / DAY) * DAY; day < to + 2 * DAY; day += DAY) {
    const weekday = DAYS[(new Date(day).getUTCDay() + 6) % 7]
    for (const one of restrictions) {
      const days: readonly string[] = one.days ?? DAYS
      const length = duration(one.duration)
      if (!days.includes(weekday!) || length === null || !/^\d\d:\d\d$/.test(one.from)) continue
      const begins = day + Number(one.from.slice(0, 2)) * HOUR + Number(one.from.slice(3)) * 60_000
      const [start, end] = [moment(begins, zone), moment(begins + length, zone)]
      if (start < end) found.push({ from: start, to: end })
    }
  }
  const joined: { from: number; to: number }[] = []
  for (const one of found.sort((a, b) => a.from - b.from)) {
    const last = joined.at(-1)
    if (last !== undefined && one.from <= last.to) last.to = Math.max(last.to, one.to)
    else joined.push({ ...one })
  }
  return joined
}

/** What layers make of `[from, to)`: each lies over those before it, where it applies. */
export function planned(layers: readonly Layer[], zone: string, from: number, to: number): Shift[] {
  let result: Shift[] = []
  for (const [index, layer] of layers.entries()) {
    let top = turns(layer, index, zone, from, to)
    const only = layer.restrictions ?? []
    if (only.length > 0) {
      const allowed = windows(only, zone, from, to)
      top = top.flatMap((shift) =>
        allowed.flatMap((one) => {
          const start = Math.max(one.from, Date.parse(shift.startTime))
          const end = Math.min(one.to, Date.parse(shift.endTime))
          return start < end ? [{ ...shift, startTime: iso(start), endTime: iso(end) }] : []
        }),
      )
    }
    result = over(result, top)
  }
  return result
}

/** `top` with what is left of `base` around it. */
function over(base: readonly Shift[], top: readonly Shift[]): Shift[] {
  const left = base.flatMap((shift) => {
    const [from, to] = [Date.parse(shift.startTime), Date.parse(shift.endTime)]
    return stretches(top, from, to)
      .filter((one) => one.userId === null)
      .map((one) => ({ ...shift, startTime: iso(one.from), endTime: iso(one.to) }))
  })
  return [...left, ...top].sort((one, other) => Date.parse(one.startTime) - Date.parse(other.startTime))
}

function iso(at: number): string {
  return new Date(at).toISOString()
}

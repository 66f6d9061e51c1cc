/** Wall clocks of IANA zones, by what `Intl` knows of them: days of 23 and 25 hours come out as they are. */

const formats = new Map<string, Intl.DateTimeFormat>()

function format(zone: string, options: Intl.DateTimeFormatOptions, tongue = 'en'): Intl.DateTimeFormat {
  const key = `${tongue} ${zone} ${JSON.stringify(options)}`
  let found = formats.get(key)
  if (found === undefined) {
    found = new Intl.DateTimeFormat(tongue, { timeZone: zone, ...options })
    formats.set(key, found)
  }
  return found
}

/** Where this device is. */
export function ownZone(): string {
  return new Intl.DateTimeFormat().resolvedOptions().timeZone
}

/** A zone that this device does not know is shown as UTC: never a blank screen over a name. */
export function knownZone(zone: string): string {
  try {
    format(zone, {})
    return zone
  } catch {
    return 'UTC'
  }
}

/** Every zone that this device knows, for whoever chooses one. */
export function allZones(): string[] {
  return ['UTC', ...Intl.supportedValuesOf('timeZone').filter((zone) => zone !== 'UTC')]
}

const WALL: Intl.DateTimeFormatOptions = {
  ...{ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' },
}

/** What the clock on a wall there says, as if it were UTC. */
function wall(at: number, zone: string): number {
  const said: Record<string, number> = {}
  for (const { type, value } of format(zone, WALL).formatToParts(at)) said[type] = Number(value)
  return Date.UTC(said['year']!, said['month']! - 1, said['day']!, said['hour']!, said['minute']!, said['second']!)
}

/** How far the zone's wall clock is ahead of UTC at a moment, in milliseconds. */
export function offset(at: number, zone: string): number {
  return wall(at, zone) - Math.floor(at / 1_000) * 1_000
}

/** `2026-11-30T09:00` of a wall clock there, as a field of a form has it. */
export function localText(at: number, zone: string): string {
  return new Date(wall(at, zone)).toISOString().slice(0, 16)
}

export function dayOf(at: number, zone: string): string {
  return localText(at, zone).slice(0, 10)
}

export interface Instant {
  at: number
  /** The clock jumps over it: it means the moment after the jump. */
  isSkipped: boolean
  /** The clock reads it twice: it means the first time. */
  isTwice: boolean
}

/** The moment of a wall clock; null: it is none. Jumps are read as schedules are (RFC 5545, 3.3.5). */
export function instantOf(text: string, zone: string): Instant | null {
  const found = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d)(?::\d\d)?$/.exec(text)
  if (found === null) return null
  const [, year, month, day, hour, minute] = found.map(Number) as [number, number, number, number, number, number]
  const wanted = Date.UTC(year, month - 1, day, hour, minute)
  if (new Date(wanted).toISOString().slice(0, 16) !== text.slice(0, 16)) return null
  // What the zone is ahead by on either side of any jump near it.
  const before = offset(wanted - 86_400_000, zone)
  const after = offset(wanted + 86_400_000, zone)
  const fits = [...new Set([wanted - before, wanted - after])].filter((at) => wall(at, zone) === wanted).sort((a, b) => a - b)
  if (fits.length === 0) return { at: wanted - before, isSkipped: true, isTwice: false }
  return { at: fits[0]!, isSkipped: false, isTwice: fits.length > 1 }
}

export function addDays(day: string, count: number): string {
  const at = new Date(`${day}T00:00:00Z`)
  at.setUTCDate(at.getUTCDate() + count)
  return at.toISOString().slice(0, 10)
}

/** The Monday of a day's week. */
export function mondayOf(day: string): string {
  const weekday = new Date(`${day}T00:00:00Z`).getUTCDay()
  return addDays(day, -((weekday + 6) % 7))
}

export function isDay(text: string | null): text is string {
  if (text === null || !/^\d{4}-\d\d-\d\d$/.test(text)) return false
  const at = new Date(`${text}T00:00:00Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text) && text >= '2000-01-01' && text < '2199-01-01'
}

export function startOf(day: string, zone: string): number {
  return instantOf(`${day}T00:00`, zone)!.at
}

export function clockText(at: number, zone: string, tongue: string): string {
  return format(zone, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' }, tongue).format(at)
}

export function dayText(day: string, tongue: string, length: 'long' | 'short' = 'short'): string {
  const options: Intl.DateTimeFormatOptions =
    length === 'long' ? { weekday: 'long', day: 'numeric', month: 'long' } : { weekday: 'short', day: 'numeric', month: 'short' }
  return format('UTC', options, tongue).format(Date.parse(`${day}T12:00:00Z`))
}

export function weekdayText(day: string, tongue: string): string {
  return format('UTC', { weekday: 'short' }, tongue).format(Date.parse(`${day}T12:00:00Z`))
}

/** `Mon 30 Nov, 09:00`; without the day where that is today there. */
export function momentText(at: number, zone: string, tongue: string, now?: number): string {
  const clock = clockText(at, zone, tongue)
  return now !== undefined && dayOf(at, zone) === dayOf(now, zone) ? clock : `${dayText(dayOf(at, zone), tongue)}, ${clock}`
}

/** `Mon 30 Nov, 09:00 – 17:00`; the second day only where it is another one. */
export function rangeText(from: number, to: number, zone: string, tongue: string): string {
  const start = momentText(from, zone, tongue)
  const isSame = dayOf(from, zone) === dayOf(to, zone)
  return `${start} – ${isSame ? clockText(to, zone, tongue) : momentText(to, zone, tongue)}`
}

/** `Europe/Berlin (GMT+1)`: as it is at that moment. */
export function zoneText(zone: string, at: number, tongue: string): string {
  const short = format(zone, { timeZoneName: 'shortOffset' }, tongue).formatToParts(at).find((part) => part.type === 'timeZoneName')
  return zone === 'UTC' || short === undefined ? zone : `${zone.replaceAll('_', ' ')} (${short.value})`
}

/** Whether the two clocks read the same over a stretch of time. */
export function isSameClock(one: string, other: string, ...moments: number[]): boolean {
  return one === other || moments.every((at) => offset(at, one) === offset(at, other))
}

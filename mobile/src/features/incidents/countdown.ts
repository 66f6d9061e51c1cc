/** How long until the next escalation, by the corrected clock. */

import type { Incident } from '../../core/api'
import { isUnanswered } from './states'

/** Whole seconds, 0 once it is over; null where nothing is to come. */
export function secondsLeft(incident: Incident, now: number): number | null {
  const at = incident.escalation?.nextAt
  if (!at || !isUnanswered(incident)) return null
  const left = (Date.parse(at) - now) / 1_000
  return Number.isNaN(left) ? null : Math.max(0, Math.ceil(left))
}

/** 14:59, or 1:04:59. */
export function clockText(seconds: number): string {
  const two = (part: number) => String(part).padStart(2, '0')
  const [hours, minutes, rest] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60, seconds % 60]
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${two(minutes)}:${two(rest)}`
}

/** Said aloud at these moments alone: a clock that talks each second keeps somebody from reading. */
const SAID: readonly number[] = [600, 300, 120, 60, 30, 10, 0]

/** The moment that was reached since `before`, or null. */
export function toSay(before: number | null, seconds: number | null): number | null {
  if (seconds === null || before === null || seconds >= before) return null
  return SAID.findLast((moment) => moment < before && moment >= seconds) ?? null
}

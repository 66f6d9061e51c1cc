/** What the red screen says: what is known of the incident, and what became of the answer that was given here. */

import type { Incident } from '../../core/api'
import type { Entry } from '../../core/outbox'
import { groupOf, isOver } from '../incidents/states'

export type Phase =
  | 'loading'
  | 'gone'
  /** It is resolved or closed. */
  | 'over'
  /** Somebody else has it. */
  | 'taken'
  /** Snoozed, or to page nobody. */
  | 'quiet'
  /** The answer was given here, and the gateway has it. */
  | 'mine'
  /** The answer is under way. */
  | 'sending'
  /** The answer is kept here: the gateway does not know of it, and goes on paging. */
  | 'queued'
  | 'refused'
  | 'burning'

/** An answer that takes longer than this is called queued. */
export const PATIENCE = 3_000

export interface Known {
  incident: Incident | null
  isGone: boolean
  /** The newest acknowledgement of this incident in the outbox. */
  entry: Entry | null
  userId: string | null
  isOnline: boolean
  /** By the device's own clock, as entries are. */
  deviceNow: number
  /** The corrected time. */
  now: number
}

export function phaseOf({ incident, isGone, entry, userId, isOnline, deviceNow, now }: Known): Phase {
  if (isGone) return 'gone'
  if (incident !== null && isOver(incident)) return 'over'
  if (entry?.state === 'accepted') return 'mine'
  const isMine = incident?.status === 'acknowledged' && userId !== null && hasIt(incident, userId)
  if (isMine) return 'mine'
  if (entry?.state === 'queued') return isOnline && deviceNow - Date.parse(entry.occurredAt) < PATIENCE ? 'sending' : 'queued'
  if (incident === null) return 'loading'
  if (incident.status === 'acknowledged') return 'taken'
  if (entry?.state === 'refused') return 'refused'
  return groupOf(incident, now) === 'quiet' ? 'quiet' : 'burning'
}

function hasIt(incident: Incident, userId: string): boolean {
  if (incident.acknowledgedBy === userId) return true
  return (incident.acknowledgements ?? []).some((one) => one.userId === userId && (one.run ?? 1) === (incident.run ?? 1))
}

/** It goes away by itself after so many milliseconds; null: it stays. */
export function lasts(phase: Phase): number | null {
  if (phase === 'mine') return 1_500
  return phase === 'over' || phase === 'taken' || phase === 'quiet' || phase === 'gone' ? 6_000 : null
}

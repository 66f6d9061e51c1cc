/** What an incident's state is, and what may be done in it: the table of docs/decision-tables.md. */

import type { Incident } from '../../core/api'
import type { Action, Entry } from '../../core/outbox'

export type Priority = Incident['priority']
export type State = Incident['status'] | 'snoozed' | 'suppressed'
export type Group = 'burning' | 'quiet' | 'taken' | 'over'
export const PRIORITIES: readonly Priority[] = ['critical', 'high', 'medium', 'low']

/** `now`: the corrected time. An end that has passed counts as passed, also before the gateway says so. */
export function stateOf(incident: Incident, now: number): State {
  if (isOver(incident)) return incident.status
  const { suppression, snoozedUntil } = incident
  if (suppression && (!suppression.until || Date.parse(suppression.until) > now)) return 'suppressed'
  if (snoozedUntil && Date.parse(snoozedUntil) > now) return 'snoozed'
  return incident.status
}

export function isOver({ status }: Pick<Incident, 'status'>): boolean {
  return status === 'resolved' || status === 'closed'
}

/** Nobody has it. */
export function isUnanswered({ status }: Pick<Incident, 'status'>): boolean {
  return status === 'created' || status === 'escalated'
}

const ANYTIME: readonly Action[] = ['notes', 'edit']
const OPEN: readonly Action[] = ['resolve', 'snooze', 'reassign', 'responders', 'escalate']
const ALLOWED: Record<State, readonly Action[]> = {
  created: ['acknowledge', ...OPEN, 'suppress', ...ANYTIME],
  escalated: ['acknowledge', ...OPEN, 'suppress', ...ANYTIME],
  acknowledged: [...OPEN, ...ANYTIME],
  snoozed: ['acknowledge', ...OPEN, ...ANYTIME],
  suppressed: ['acknowledge', ...OPEN, ...ANYTIME],
  resolved: ['close', 'reopen', ...ANYTIME],
  closed: ['reopen', ...ANYTIME],
}

/** What `userId` may do to it now. Whoever did not acknowledge what a colleague has may do so as well. */
export function allowed(incident: Incident, now: number, userId: string | null): readonly Action[] {
  const state = stateOf(incident, now)
  // What a newer gateway alone knows may be anything open: the gateway says what may be done to it.
  const actions = Object.hasOwn(ALLOWED, state) ? ALLOWED[state] : ALLOWED.snoozed
  if (state !== 'acknowledged' || userId === null || hasAcknowledged(incident, userId)) return actions
  return ['acknowledge', ...actions]
}

function hasAcknowledged(incident: Incident, userId: string): boolean {
  const run = incident.run ?? 1
  return (incident.acknowledgements ?? []).some((one) => one.userId === userId && (one.run ?? 1) === run)
}

export function groupOf(incident: Incident, now: number): Group {
  if (isOver(incident)) return 'over'
  if (incident.status === 'acknowledged') return 'taken'
  const state = stateOf(incident, now)
  return state === 'snoozed' || state === 'suppressed' ? 'quiet' : 'burning'
}

export interface Grouped {
  group: Group
  incidents: Incident[]
}

/** What burns and is unanswered first: the worst, then what has escalated, then what has waited longest. */
export function grouped(incidents: readonly Incident[], now: number): Grouped[] {
  const groups: Record<Group, Incident[]> = { burning: [], taken: [], quiet: [], over: [] }
  for (const incident of incidents) groups[groupOf(incident, now)].push(incident)
  groups.burning.sort((one, other) => byPriority(one, other) || byEscalation(one, other) || byAge(one, other))
  groups.taken.sort((one, other) => byPriority(one, other) || byAge(other, one))
  groups.quiet.sort((one, other) => byPriority(one, other) || byAge(other, one))
  groups.over.sort((one, other) => Date.parse(other.updatedAt) - Date.parse(one.updatedAt))
  return (['burning', 'taken', 'quiet', 'over'] as const)
    .map((group) => ({ group, incidents: groups[group] }))
    .filter((each) => each.incidents.length > 0)
}

/** The first `most` of them in their groups, each with how many are in it. */
export function firstOf(groups: readonly Grouped[], most: number): (Grouped & { count: number })[] {
  let room = most
  const first: (Grouped & { count: number })[] = []
  for (const { group, incidents } of groups) {
    if (room <= 0) break
    first.push({ group, incidents: incidents.slice(0, room), count: incidents.length })
    room -= incidents.length
  }
  return first
}

const byPriority = (one: Incident, other: Incident) => PRIORITIES.indexOf(one.priority) - PRIORITIES.indexOf(other.priority)
const byEscalation = (one: Incident, other: Incident) => Number(other.status === 'escalated') - Number(one.status === 'escalated')
const byAge = (one: Incident, other: Incident) => Date.parse(one.createdAt) - Date.parse(other.createdAt)

/** Entries of the outbox about an incident that somebody still has to know of, in their order. */
export function entriesOf(entries: readonly Entry[], incidentId: string): Entry[] {
  return entries.filter((entry) => entry.incidentId === incidentId)
}

/** Somebody has answered it here, and it was not refused: it need not wake them again. */
export function isAnsweredHere(entries: readonly Entry[], incidentId: string): boolean {
  return entries.some(
    (entry) => entry.incidentId === incidentId && entry.state !== 'refused' && ['acknowledge', 'resolve'].includes(entry.action),
  )
}

/** Whether it can be undone still; `now`: by the device's own clock. */
export function canUndo(entry: Entry, now: number): boolean {
  return entry.state === 'queued' && entry.attempts === 0 && entry.notBefore > now
}

/** Where it is, if whoever sent it has said so. */
export function placeOf(incident: Incident): string | null {
  const place = incident.metadata['location']
  return typeof place === 'string' && place.trim() !== '' ? place.trim().slice(0, 500) : null
}

/** A title for a sentence that may not cover the screen. */
export function short(text: string, most = 60): string {
  const signs = [...text]
  return signs.length <= most ? text : `${signs.slice(0, most - 1).join('')}…`
}

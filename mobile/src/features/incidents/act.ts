/** Doing something to incidents, one or many, and what is said about it. */

import { app } from '../../core/app.svelte'
import { ApiError, type Incident } from '../../core/api'
import { t, tn } from '../../core/i18n'
import type { Action, Entry, Wanted } from '../../core/outbox'
import { errorText } from '../../core/words'
import { tap } from '../../native/haptics'
import { toasts } from '../../ui/toasts.svelte'
import { short } from './states'

export const UNDO_FOR = 5_000

/** What is being written down now: the same once more is the second tap of somebody who taps twice. */
const keeping = new Map<string, Promise<Entry | null>>()

/** Null where nothing is done, which is then said; and so is what is not kept until it is sent. */
export function act(wanted: Wanted): Promise<Entry | null> {
  const what = JSON.stringify(wanted)
  const first = keeping.get(what)
  if (first !== undefined) return first
  const kept = keep(wanted).finally(() => keeping.delete(what))
  keeping.set(what, kept)
  return kept
}

async function keep(wanted: Wanted): Promise<Entry | null> {
  try {
    const entry = await app.act(wanted)
    if (entry.isUnkept === true) toasts.show(t('outbox.unkept'), { kind: 'error' })
    return entry
  } catch (error) {
    toasts.show(errorText(error), { kind: 'error' })
    return null
  }
}

/** Acknowledge by a swipe or its button: for five seconds it can be taken back. */
export async function acknowledgeWithUndo(incident: Incident): Promise<void> {
  void tap('heavy')
  const entry = await act({ incidentId: incident.id, action: 'acknowledge', undoFor: UNDO_FOR })
  if (entry === null || entry.isUnkept === true) return
  const undo = { label: t('incidents.undo'), run: () => void takeBack(entry) }
  toasts.show(t('incidents.acknowledging', { title: short(incident.title) }), { action: undo, lasts: UNDO_FOR })
}

export async function takeBack(entry: Entry): Promise<void> {
  const isBack = await app.outbox.cancel(entry.id)
  toasts.show(t(isBack ? 'incidents.undone' : 'incidents.tooLate'), isBack ? {} : { kind: 'error' })
}

export type BulkAction = Extract<Action, 'acknowledge' | 'resolve' | 'close'>
export interface Outcome {
  id: string
  title: string
  result: 'done' | 'queued' | 'refused'
  /** Why it was refused. */
  reason: string
}

/** Many at once, with a result for each. The same `key` again does nothing twice. Raises ApiError where it is worth another try. */
export async function actOnMany(action: BulkAction, incidents: readonly Incident[], key: string): Promise<Outcome[]> {
  if (app.isOnline) {
    try {
      return await together(action, incidents, key)
    } catch (error) {
      if (!(error instanceof ApiError) || !error.isOffline) throw error
    }
  }
  // Each by itself, as soon as there is a network. Where the answer alone was lost it finds what it wanted.
  const outcomes: Outcome[] = []
  for (const { id, title } of incidents) {
    try {
      await app.act({ incidentId: id, action })
      outcomes.push({ id, title, result: 'queued', reason: '' })
    } catch (error) {
      outcomes.push({ id, title, result: 'refused', reason: errorText(error) })
    }
  }
  return outcomes
}

/** As many as the gateway takes in one request. */
const AT_ONCE = 100

async function together(action: BulkAction, incidents: readonly Incident[], key: string): Promise<Outcome[]> {
  const outcomes: Outcome[] = []
  for (let from = 0; from < incidents.length; from += AT_ONCE) {
    outcomes.push(...(await atOnce(action, incidents.slice(from, from + AT_ONCE), `${key}/${from}`)))
  }
  return outcomes
}

async function atOnce(action: BulkAction, incidents: readonly Incident[], key: string): Promise<Outcome[]> {
  // Without a time: it is done now, and a repeat whose first answer was lost says the same.
  const body = { action, ids: incidents.map(({ id }) => id) }
  const { results } = await app.api.post('/api/v1/incidents/bulk', { body, idempotencyKey: key })
  const titles = new Map(incidents.map(({ id, title }) => [id, title]))
  return results.map(({ id, ok, error }) => ({
    id,
    title: titles.get(id) ?? id,
    result: ok ? 'done' : 'refused',
    reason: error?.message ?? '',
  }))
}

/** In a sentence, for the toast and for screen readers. */
export function summary(outcomes: readonly Outcome[]): string {
  const count = (result: Outcome['result']) => outcomes.filter((one) => one.result === result).length
  return (['done', 'queued', 'refused'] as const)
    .filter((result) => count(result) > 0)
    .map((result) => tn(`incidents.bulk.${result}`, count(result)))
    .join(' ')
}

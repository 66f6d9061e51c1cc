/**
 * What is being written: kept while the app is open, since a page that comes takes the screen away and must not take the
 * words. An incident is sent once, however often it is tried.
 */

import { app } from '../../core/app.svelte'
import { ApiError, type Schemas } from '../../core/api'
import { t } from '../../core/i18n'
import { errorText } from '../../core/words'
import type { Priority } from './states'

type Body = Schemas['CreateIncident']
export interface Row {
  key: number
  name: string
  value: string
}
const MOST_ROWS = 20
export const FIELDS = ['title', 'description', 'priority', 'teamId', 'policyId', 'assignedTo', 'metadata'] as const
export type FieldName = (typeof FIELDS)[number]

export class Draft {
  title = $state('')
  description = $state('')
  priority = $state<Priority>('high')
  teamId = $state('')
  policyId = $state('')
  assignedTo = $state<string | null>(null)
  rows = $state<Row[]>([{ key: 0, name: 'location', value: '' }])
  errors = $state.raw<Partial<Record<FieldName, string>>>({})
  /** What is wrong with it as a whole. */
  error = $state<string | null>(null)
  isSending = $state(false)

  private nextKey = 1
  /** A request whose answer was lost is sent again under its key: it is one incident. */
  private sent: { body: string; key: string } | null = null

  get isEmpty(): boolean {
    const texts = [this.title, this.description, this.teamId, this.policyId, ...this.rows.map(({ value }) => value)]
    return texts.every((text) => text.trim() === '') && this.assignedTo === null
  }
  get canAddRow(): boolean {
    return this.rows.length < MOST_ROWS
  }
  addRow(): void {
    if (this.canAddRow) this.rows.push({ key: this.nextKey++, name: '', value: '' })
  }
  removeRow(key: number): void {
    this.rows = this.rows.filter((row) => row.key !== key)
  }

  /** Somebody writes into it: what was wrong with it is asked again when it is sent. */
  mend(field: FieldName): void {
    const { [field]: _, ...others } = this.errors
    this.errors = others
  }

  /** The incident's id, or null: `errors` and `error` say why. */
  async send(): Promise<string | null> {
    const body = this.check()
    if (body === null || this.isSending) return null
    const text = JSON.stringify(body)
    if (this.sent?.body !== text) this.sent = { body: text, key: crypto.randomUUID() }
    this.isSending = true
    this.error = null
    try {
      const { incident } = await app.api.post('/api/v1/incidents', { body, idempotencyKey: this.sent.key })
      await app.db.putIncidents([incident])
      this.sent = null
      return incident.id
    } catch (failure) {
      this.refused(failure)
      return null
    } finally {
      this.isSending = false
    }
  }

  private check(): Body | null {
    const errors: Partial<Record<FieldName, string>> = {}
    if (this.title.trim() === '') errors.title = t('incidents.titleNeeded')
    const metadata: Record<string, string> = {}
    for (const { name, value } of this.rows) {
      if (value.trim() === '') continue
      if (name.trim() === '') errors.metadata = t('incidents.rowName')
      else if (name.trim() in metadata) errors.metadata = t('incidents.rowTwice', { name: name.trim() })
      else metadata[name.trim()] = value.trim()
    }
    this.errors = errors
    this.error = null
    if (Object.keys(errors).length > 0) return null
    return {
      title: this.title.trim(),
      priority: this.priority,
      metadata,
      ...(this.description.trim() === '' ? {} : { description: this.description }),
      ...(this.teamId === '' ? {} : { teamId: this.teamId }),
      ...(this.policyId === '' ? {} : { policyId: this.policyId }),
      ...(this.assignedTo === null ? {} : { assignedTo: this.assignedTo }),
    }
  }

  private refused(failure: unknown): void {
    const isFinal = failure instanceof ApiError && !failure.isTemporary
    // What was refused was not done: a changed mind about the same words is another try.
    if (isFinal) this.sent = null
    const field = failure instanceof ApiError ? (failure.details.field ?? '') : ''
    const name = FIELDS.find((one) => one === field.split(/[.[]/)[0])
    if (name === undefined) this.error = errorText(failure)
    else this.errors = { ...this.errors, [name]: errorText(failure) }
  }
}

class Drafts {
  private owner: string | null = null
  private incident: Draft | null = null
  private readonly notes = new Map<string, string>()

  /** The incident that this person is writing, or a new one. */
  theIncident(): Draft {
    this.look()
    return (this.incident ??= new Draft())
  }
  /** It was sent, or is not wanted any more. */
  forgetIncident(): void {
    this.incident = null
  }

  noteOf(incidentId: string): string {
    this.look()
    return this.notes.get(incidentId) ?? ''
  }
  keepNote(incidentId: string, text: string): void {
    if (text === '') this.notes.delete(incidentId)
    else this.notes.set(incidentId, text)
  }

  /** Another person's words are nobody else's. */
  private look(): void {
    const userId = app.user?.id ?? null
    if (this.owner === userId) return
    this.owner = userId
    this.incident = null
    this.notes.clear()
  }
}

export const drafts = new Drafts()

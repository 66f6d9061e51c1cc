/** The review of an incident: what happened, what follows from it, and whether others may read it. */

import type { Schemas } from '../../core/api'
import { app } from '../../core/app.svelte'
import { Form } from '../../ui/form/form.svelte'
import { Held } from '../../ui/form/held.svelte'
import { raised } from './schedule.svelte'
import { t } from './words'

export type Review = Schemas['ReviewView']

export class EditedItem {
  readonly id: string | null
  text = $state('')
  ownerId = $state<string | null>(null)
  /** A day; of a moment that was given the moment stays as long as its day does. */
  due = $state('')
  done = $state(false)
  private readonly dueAt: string | null

  constructor(given?: Schemas['ActionItem']) {
    this.id = given?.id ?? null
    this.dueAt = given?.dueAt ?? null
    if (given === undefined) return
    this.text = given.text
    this.ownerId = given.ownerId ?? null
    this.due = this.dueAt?.slice(0, 10) ?? ''
    this.done = given.done ?? false
  }

  item(): Schemas['WantedItem'] {
    const dueAt = this.due === '' ? null : this.dueAt?.slice(0, 10) === this.due ? this.dueAt : `${this.due}T00:00:00Z`
    return { ...(this.id === null ? {} : { id: this.id }), text: this.text, ownerId: this.ownerId, dueAt, done: this.done }
  }
}

export class ReviewEditor {
  readonly held: Held<Review>
  readonly form = new Form(['text', 'actionItems'])
  text = $state('')
  items = $state.raw<readonly EditedItem[]>([])

  constructor(readonly incidentId: string) {
    const path = { id: incidentId }
    this.held = new Held<Review>(async () => {
      const { body, etag } = await app.api.whole('get', '/api/v1/incidents/{id}/review', { path })
      return { value: body.data.review, etag }
    })
  }

  async load(): Promise<void> {
    this.form.clear()
    await this.held.load()
    this.fill()
  }

  private fill(): void {
    const review = this.held.value
    if (review === null) return
    this.text = review.text
    this.items = (review.actionItems ?? []).map((one) => new EditedItem(one))
  }

  /** With what the timeline says. */
  begin(): Promise<boolean> {
    return this.form.send(async () => {
      const { body, etag } = await app.api.whole('post', '/api/v1/incidents/{id}/review', { path: { id: this.incidentId } })
      this.held.error = null
      this.held.put({ value: body.data.review, etag })
      this.fill()
    })
  }

  add(): void {
    this.items = [...this.items, new EditedItem()]
  }
  drop(place: number): void {
    this.items = this.items.filter((_, index) => index !== place)
  }
  raise(place: number): void {
    this.items = raised(this.items, place)
  }

  readonly isChanged = $derived.by(() => {
    const review = this.held.value
    if (review === null) return false
    const before = (review.actionItems ?? []).map((one) => new EditedItem(one).item())
    return this.text !== review.text || JSON.stringify(this.items.map((one) => one.item())) !== JSON.stringify(before)
  })

  /** Save what is there; `published` also says who may read it. */
  async save(published?: boolean): Promise<boolean> {
    this.form.clear()
    const empty = this.items.findIndex((one) => one.text.trim() === '')
    if (this.text.trim() === '') this.form.fail('text', t('admin.needed'))
    if (empty >= 0) this.form.fail(`actionItems.${empty}.text`, t('admin.needed'))
    if (this.text.trim() === '' || empty >= 0) return false
    return this.form.send(async () => {
      const body: Schemas['ReviewChange'] = {
        ...(this.isChanged ? { text: this.text, actionItems: this.items.map((one) => one.item()) } : {}),
        ...(published === undefined ? {} : { published }),
      }
      if (Object.keys(body).length === 0) return
      const { body: answer, etag } = await app.api.whole('patch', '/api/v1/incidents/{id}/review', { path: { id: this.incidentId }, body, ...this.held.version })
      this.held.put({ value: answer.data.review, etag })
      this.fill()
    })
  }

  async remove(): Promise<void> {
    await app.api.delete('/api/v1/incidents/{id}/review', { path: { id: this.incidentId }, ...this.held.version })
  }
}

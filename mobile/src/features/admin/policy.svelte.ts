/** An escalation policy that is being edited: levels, whom each pages, and how long it waits. */

import type { Schemas } from '../../core/api'
import { app } from '../../core/app.svelte'
import { Form } from '../../ui/form/form.svelte'
import { Held } from '../../ui/form/held.svelte'
import { save } from './saving'
import { raised } from './schedule.svelte'
import { t } from './words'

export type Policy = Schemas['PolicyView']
type Target = Schemas['Target']
type Priority = Schemas['Priority']
export const PRIORITIES: readonly Priority[] = ['critical', 'high', 'medium', 'low']
/** What can be chosen; `manager` are a team's. */
export const KINDS = ['schedule', 'user', 'team', 'manager', 'role'] as const
export type Kind = (typeof KINDS)[number]

export class EditedTarget {
  kind = $state<Kind>('schedule')
  /** An id, or of `role` the role. */
  id = $state('')

  constructor(given?: Target) {
    if (given === undefined) return
    this.kind = given.type === 'team' && given.role === 'manager' ? 'manager' : given.type
    this.id = (given.type === 'role' ? given.role : given.id) ?? ''
  }

  target(): Target {
    if (this.kind === 'role') return { type: 'role', id: null, role: this.id as Schemas['Role'] }
    if (this.kind === 'manager') return { type: 'team', id: this.id, role: 'manager' }
    return { type: this.kind, id: this.id, role: null }
  }
}

export class EditedLevel {
  minutes = $state('5')
  targets = $state.raw<readonly EditedTarget[]>([new EditedTarget()])
  private readonly byPriority: Record<string, number>

  constructor(given?: Schemas['Level']) {
    this.byPriority = given?.timeoutMinutesByPriority ?? {}
    if (given === undefined) return
    this.minutes = String(given.timeoutMinutes)
    this.targets = given.targets.map((one) => new EditedTarget(one))
  }

  /** Time-outs of single priorities are not edited here, and stay. */
  level(): Schemas['Level'] {
    return { timeoutMinutes: numberOf(this.minutes) ?? Number.NaN, timeoutMinutesByPriority: this.byPriority, targets: this.targets.map((one) => one.target()) }
  }
}

export class PolicyEditor {
  readonly held: Held<Policy>
  readonly form = new Form(['name', 'priorityFilter', 'repeat', 'levels', 'acknowledgementTimeoutMinutes', 'autoResolveMinutes', 'teamId'])
  readonly isNew: boolean
  name = $state('')
  repeat = $state('3')
  acknowledgement = $state('')
  autoResolve = $state('')
  teamId = $state('')
  priorities = $state.raw<readonly Priority[]>(PRIORITIES)
  levels = $state.raw<readonly EditedLevel[]>([])

  constructor(readonly id: string) {
    this.isNew = id === 'new'
    this.held = new Held<Policy>(async () => {
      const { body, etag } = await app.api.whole('get', '/api/v1/escalation/policies/{id}', { path: { id } })
      return { value: body.data.policy, etag }
    })
    if (this.isNew) this.levels = [new EditedLevel()]
  }

  async load(): Promise<void> {
    this.form.clear()
    if (this.isNew) return
    await this.held.load()
    this.fill()
  }

  fill(): void {
    const policy = this.held.value
    if (policy === null) return
    this.name = policy.name
    this.repeat = String(policy.repeat)
    this.acknowledgement = textOf(policy.acknowledgementTimeoutMinutes)
    this.autoResolve = textOf(policy.autoResolveMinutes)
    this.teamId = policy.teamId ?? ''
    // None named: for all of them.
    this.priorities = policy.priorityFilter.length === 0 ? PRIORITIES : policy.priorityFilter
    this.levels = policy.levels.map((level) => new EditedLevel(level))
  }

  addLevel(): void {
    this.levels = [...this.levels, new EditedLevel()]
  }
  dropLevel(place: number): void {
    this.levels = this.levels.filter((_, index) => index !== place)
  }
  raiseLevel(place: number): void {
    this.levels = raised(this.levels, place)
  }

  readonly people = $derived.by(() => this.levels.flatMap((level) => level.targets.filter((one) => one.kind === 'user' && one.id !== '').map((one) => one.id)))

  private body(): Schemas['CreatePolicy'] {
    return {
      name: this.name,
      repeat: Number(this.repeat),
      priorityFilter: this.priorities.length === PRIORITIES.length ? [] : [...this.priorities],
      levels: this.levels.map((level) => level.level()),
      acknowledgementTimeoutMinutes: numberOf(this.acknowledgement),
      autoResolveMinutes: numberOf(this.autoResolve),
      teamId: this.teamId || null,
    }
  }

  changes(): Schemas['PolicyChange'] {
    const before = this.held.value
    const wanted = this.body()
    if (before === null) return wanted
    const isSame = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other)
    const untouched = before.levels.map((level) => new EditedLevel(level).level())
    const filter = before.priorityFilter.length === PRIORITIES.length ? [] : before.priorityFilter
    return {
      ...(wanted.name === before.name ? {} : { name: wanted.name }),
      ...(wanted.repeat === before.repeat ? {} : { repeat: wanted.repeat }),
      ...(isSame(wanted.priorityFilter, filter) ? {} : { priorityFilter: wanted.priorityFilter }),
      ...(isSame(wanted.levels, untouched) ? {} : { levels: wanted.levels }),
      ...(wanted.acknowledgementTimeoutMinutes === (before.acknowledgementTimeoutMinutes ?? null) ? {} : { acknowledgementTimeoutMinutes: wanted.acknowledgementTimeoutMinutes }),
      ...(wanted.autoResolveMinutes === (before.autoResolveMinutes ?? null) ? {} : { autoResolveMinutes: wanted.autoResolveMinutes }),
      ...(wanted.teamId === (before.teamId ?? null) ? {} : { teamId: wanted.teamId }),
    }
  }

  save(): Promise<string | null> {
    return save(
      this,
      async () => (await app.api.post('/api/v1/escalation/policies', { body: this.body() })).policy.id,
      async (body) => {
        const { body: answer, etag } = await app.api.whole('patch', '/api/v1/escalation/policies/{id}', { path: { id: this.id }, body, ...this.held.version })
        return { value: answer.data.policy, etag }
      },
    )
  }

  async remove(): Promise<void> {
    await app.api.delete('/api/v1/escalation/policies/{id}', { path: { id: this.id }, ...this.held.version })
  }

  *faults(): Iterable<[string, string]> {
    if (this.name.trim() === '') yield ['name', t('admin.needed')]
    if (!/^\d+$/.test(this.repeat)) yield ['repeat', t('admin.wholeNumber')]
    if (this.acknowledgement !== '' && numberOf(this.acknowledgement) === null) yield ['acknowledgementTimeoutMinutes', t('admin.minutesNeeded')]
    if (this.autoResolve !== '' && numberOf(this.autoResolve) === null) yield ['autoResolveMinutes', t('admin.minutesNeeded')]
    if (this.priorities.length === 0) yield ['priorityFilter', t('admin.priorityNeeded')]
    if (this.levels.length === 0) yield ['levels', t('admin.levelNeeded')]
    for (const [index, level] of this.levels.entries()) {
      if (numberOf(level.minutes) === null) yield [`levels.${index}.timeoutMinutes`, t('admin.minutesNeeded')]
      if (level.targets.length === 0) yield [`levels.${index}.targets`, t('admin.targetNeeded')]
      for (const [place, target] of level.targets.entries()) {
        if (target.id === '') yield [`levels.${index}.targets.${place}.id`, t('admin.targetEmpty')]
      }
    }
  }
}

function textOf(minutes: number | null | undefined): string {
  return minutes === null || minutes === undefined ? '' : String(minutes)
}

/** Minutes as somebody writes them, also with a comma; null: they are none. */
function numberOf(text: string): number | null {
  const trimmed = text.trim().replace(',', '.')
  return /^\d+(\.\d+)?$/.test(trimmed) && Number(trimmed) > 0 ? Number(trimmed) : null
}

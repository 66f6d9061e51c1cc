/** A schedule that is being edited: its layers as fields of a form, and the shifts that they would make. */

import type { Schemas } from '../../core/api'
import { app } from '../../core/app.svelte'
import { Form } from '../../ui/form/form.svelte'
import { Held } from '../../ui/form/held.svelte'
import { save } from './saving'
import { days, withOverride, type Day, type Schedule } from '../oncall/plan'
import { addDays, dayOf, knownZone, mondayOf, ownZone, startOf } from '../oncall/zones'
import { duration, durationText, planned, type Layer } from './rotation'
import { t } from './words'

type Restriction = Schemas['Restriction']
type WeekDay = Schemas['Day']
export const WEEK: readonly WeekDay[] = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun']
export const TYPES: readonly NonNullable<Layer['rotationType']>[] = ['daily', 'weekly', 'monthly', 'hourly', 'custom']
const HOUR = 3_600_000

export class EditedWindow {
  days = $state.raw<readonly WeekDay[]>(WEEK)
  from = $state('09:00')
  hours = $state('8')
  readonly given: string | null

  constructor(given?: Restriction) {
    this.given = given?.duration ?? null
    if (given === undefined) return
    this.days = given.days ?? WEEK
    this.from = given.from
    this.hours = hoursOf(given.duration)
  }

  restriction(): Restriction {
    return { days: WEEK.filter((day) => this.days.includes(day)), from: this.from, duration: lengthOf(this.hours, this.given) }
  }
}

export class EditedLayer {
  rotationType = $state<string>('weekly')
  interval = $state('1')
  hours = $state('12')
  start = $state('')
  end = $state('')
  participants = $state.raw<readonly string[]>([])
  windows = $state.raw<readonly EditedWindow[]>([])
  private readonly given: Layer | null

  constructor(given: Layer | null, zone: string) {
    this.given = given
    if (given === null) {
      this.start = `${mondayOf(dayOf(app.clock.now(), zone))}T09:00`
      return
    }
    this.rotationType = given.rotationType ?? 'weekly'
    this.interval = String(given.interval ?? 1)
    if (given.shiftLength) this.hours = hoursOf(given.shiftLength)
    this.start = given.start.slice(0, 16)
    this.end = given.end?.slice(0, 16) ?? ''
    this.participants = given.participants
    this.windows = (given.restrictions ?? []).map((one) => new EditedWindow(one))
  }

  /** As the API has it. What was not touched is as it was, to the second. */
  layer(): Layer {
    const rotationType = this.rotationType as NonNullable<Layer['rotationType']>
    return {
      rotationType,
      interval: Number(this.interval),
      shiftLength: rotationType === 'custom' ? lengthOf(this.hours, this.given?.shiftLength ?? null) : null,
      start: this.given?.start.slice(0, 16) === this.start ? this.given.start : this.start,
      end: this.end === '' ? null : this.given?.end?.slice(0, 16) === this.end ? this.given.end : this.end,
      participants: [...this.participants],
      restrictions: this.windows.map((one) => one.restriction()),
    }
  }

  add(id: string): void {
    this.participants = [...this.participants, id]
  }
  drop(place: number): void {
    this.participants = this.participants.filter((_, index) => index !== place)
  }
  /** Their turn comes one earlier. */
  raise(place: number): void {
    this.participants = raised(this.participants, place)
  }
}

/** A list in which one has changed places with the one before it. */
export function raised<Item>(items: readonly Item[], place: number): Item[] {
  const result = [...items]
  if (place > 0 && place < result.length) result.splice(place - 1, 2, result[place]!, result[place - 1]!)
  return result
}

export class ScheduleEditor {
  readonly held: Held<Schedule>
  readonly form = new Form(['name', 'description', 'timezone', 'isActive', 'teamId', 'layers'])
  readonly isNew: boolean
  name = $state('')
  description = $state('')
  timezone = $state(ownZone())
  isActive = $state(true)
  teamId = $state('')
  layers = $state.raw<readonly EditedLayer[]>([])

  constructor(readonly id: string) {
    this.isNew = id === 'new'
    this.held = new Held<Schedule>(async () => {
      const { body, etag } = await app.api.whole('get', '/api/v1/on-call/schedules/{id}', { path: { id } })
      return { value: body.data.schedule, etag }
    })
    if (this.isNew) this.layers = [new EditedLayer(null, this.timezone)]
  }

  async load(): Promise<void> {
    this.form.clear()
    if (this.isNew) return
    await this.held.load()
    this.fill()
  }

  fill(): void {
    const schedule = this.held.value
    if (schedule === null) return
    this.name = schedule.name
    this.description = schedule.description ?? ''
    this.timezone = schedule.timezone
    this.isActive = schedule.isActive
    this.teamId = schedule.teamId ?? ''
    this.layers = schedule.layers.map((layer) => new EditedLayer(layer, this.zone))
  }

  readonly zone = $derived.by(() => knownZone(this.timezone.trim() || 'UTC'))

  addLayer(): void {
    this.layers = [...this.layers, new EditedLayer(null, this.zone)]
  }
  dropLayer(place: number): void {
    this.layers = this.layers.filter((_, index) => index !== place)
  }
  raiseLayer(place: number): void {
    this.layers = raised(this.layers, place)
  }

  /** Two weeks as they would be, with the overrides that there are. */
  readonly preview = $derived.by<Day[]>(() => {
    const first = mondayOf(dayOf(app.now, this.zone))
    const [from, to] = [startOf(first, this.zone), startOf(addDays(first, 14), this.zone)]
    if (!this.isActive) return days([], first, 14, this.zone)
    let shifts = planned(this.layers.map((layer) => layer.layer()), this.zone, from, to)
    for (const one of this.held.value?.overrides ?? []) {
      const made = { userId: one.userId, from: Math.max(from, Date.parse(one.startTime)), to: Math.min(to, Date.parse(one.endTime)), replaces: one.replaces ?? null }
      if (made.from < made.to) shifts = withOverride(shifts, made)
    }
    return days(shifts, first, 14, this.zone)
  })

  readonly people = $derived.by(() => [
    ...new Set([...this.layers.flatMap((layer) => layer.participants), ...(this.held.value?.overrides ?? []).map((one) => one.userId)]),
  ])

  private body(): Schemas['CreateSchedule'] {
    const description = this.description.trim() === '' ? null : this.description
    const layers = this.layers.map((layer) => layer.layer())
    return { name: this.name, description, timezone: this.timezone.trim(), isActive: this.isActive, layers, teamId: this.teamId || null }
  }

  /** What is different from what was seen: nobody is asked about what they did not touch. */
  changes(): Schemas['ScheduleChange'] {
    const before = this.held.value
    const wanted = this.body()
    if (before === null) return wanted
    const untouched = before.layers.map((layer) => new EditedLayer(layer, this.zone).layer())
    return {
      ...(wanted.name === before.name ? {} : { name: wanted.name }),
      ...(wanted.description === (before.description ?? null) ? {} : { description: wanted.description }),
      ...(wanted.timezone === before.timezone ? {} : { timezone: wanted.timezone }),
      ...(wanted.isActive === before.isActive ? {} : { isActive: wanted.isActive }),
      ...(wanted.teamId === (before.teamId ?? null) ? {} : { teamId: wanted.teamId }),
      ...(JSON.stringify(wanted.layers) === JSON.stringify(untouched) ? {} : { layers: wanted.layers }),
    }
  }

  save(): Promise<string | null> {
    return save(
      this,
      async () => (await app.api.post('/api/v1/on-call/schedules', { body: this.body() })).schedule.id,
      async (body) => {
        const { body: answer, etag } = await app.api.whole('patch', '/api/v1/on-call/schedules/{id}', { path: { id: this.id }, body, ...this.held.version })
        return { value: answer.data.schedule, etag }
      },
    )
  }

  async remove(): Promise<void> {
    await app.api.delete('/api/v1/on-call/schedules/{id}', { path: { id: this.id }, ...this.held.version })
  }

  /** What need not be asked to be known. The gateway says the rest. */
  *faults(): Iterable<[string, string]> {
    if (this.name.trim() === '') yield ['name', t('admin.needed')]
    for (const [index, layer] of this.layers.entries()) {
      if (!/^\d+$/.test(layer.interval)) yield [`layers.${index}.interval`, t('admin.wholeNumber')]
      if (layer.start === '') yield [`layers.${index}.start`, t('admin.needed')]
      if (layer.participants.length === 0) yield [`layers.${index}.participants`, t('admin.participantsNeeded')]
      if (layer.rotationType === 'custom' && !isHours(layer.hours)) yield [`layers.${index}.shiftLength`, t('admin.hoursNeeded')]
      for (const [place, window] of layer.windows.entries()) {
        const at = `layers.${index}.restrictions.${place}`
        if (!isHours(window.hours)) yield [`${at}.duration`, t('admin.hoursNeeded')]
        if (window.days.length === 0) yield [`${at}.days`, t('admin.dayNeeded')]
        if (window.from === '') yield [`${at}.from`, t('admin.needed')]
      }
    }
  }
}


function isHours(text: string): boolean {
  return /^\d+([.,]\d+)?$/.test(text.trim()) && Number(text.replace(',', '.')) > 0
}

function hoursOf(text: string): string {
  return String(Math.round(((duration(text) ?? 0) / HOUR) * 100) / 100)
}

/** The duration that hours mean; as it was given where they mean that. */
function lengthOf(hours: string, given: string | null): string {
  if (given !== null && hoursOf(given) === hours) return given
  return isHours(hours) ? durationText(Number(hours.replace(',', '.')) * HOUR) : 'PT0M'
}

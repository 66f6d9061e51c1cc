/** Who is on call, when I am, and what is planned. Shown as it was last seen, until the gateway has answered. */

import type { Schemas } from '../../core/api'
import { app, fullName } from '../../core/app.svelte'
import { ApiError } from '../../core/errors'
import { whole } from '../../core/whole'
import { isIn, shiftsOf, type Override, type Schedule, type Shift } from './plan'
import { addDays, dayOf, knownZone, mondayOf, startOf } from './zones'

export type OnCall = Schemas['OnCallView']
export type Policy = Schemas['PolicyView']

/** Shifts of a schedule in `[from, to)`, and when that was so. */
interface Plan {
  from: number
  to: number
  at: number
  shifts: Shift[]
  inactive: string[]
}
interface Kept {
  userId: string
  at: number
  onCall: OnCall[]
  schedules: Schedule[]
  policies: Policy[]
  plans: Record<string, Plan>
  names: Record<string, string>
}
export interface MyShift {
  scheduleId: string
  scheduleName: string
  zone: string
  from: number
  to: number
  /** It goes on for longer than was looked at. */
  isOpen: boolean
}

const KEPT = 'oncall'
const DAY = 86_400_000
/** So long plans are shown without asking again. */
const LASTS = 10 * 60_000
/** So far ahead one's own shifts are looked for. */
const AHEAD = 28 * DAY
/** Schedules with turns of mine whose shifts are read. */
const MOST_MINE = 20
/** Plans that are kept: the newest. */
const MOST_PLANS = 40

export class OnCallStore {
  onCall = $state.raw<readonly OnCall[]>([])
  schedules = $state.raw<readonly Schedule[]>([])
  policies = $state.raw<readonly Policy[]>([])
  plans = $state.raw<Readonly<Record<string, Plan>>>({})
  names = $state.raw<Readonly<Record<string, string>>>({})
  /** When all of it was so; null: nothing was seen yet. */
  at = $state<number | null>(null)
  isLoading = $state(false)
  error = $state.raw<unknown>(null)
  /** When all of it was asked for. */
  private loadedAt = 0
  private opened: Promise<void> | null = null
  private readonly asking = new Set<string>()

  reset(): void {
    this.onCall = this.schedules = this.policies = []
    this.plans = {}
    this.names = {}
    this.at = null
    this.error = null
    this.opened = null
    this.loadedAt = 0
    this.asking.clear()
  }

  /** What was last seen. Of somebody else who was signed in here nothing is shown. */
  open(): Promise<void> {
    this.opened ??= (async () => {
      const kept = await app.db.setting<Kept>(KEPT)
      if (kept === null || kept.userId !== app.user?.id || this.at !== null) return
      this.onCall = kept.onCall
      this.schedules = kept.schedules
      this.policies = kept.policies
      this.plans = kept.plans
      this.names = kept.names
      this.at = kept.at
    })()
    return this.opened
  }

  async load(): Promise<void> {
    await this.open()
    if (this.isLoading) return
    this.isLoading = true
    this.error = null
    try {
      const [onCall, schedules, policies] = await Promise.all([
        this.askOnCall(),
        whole((cursor) => app.api.get('/api/v1/on-call/schedules', { query: { limit: 100, cursor } }).then((data) => [data.schedules, data.nextCursor])),
        whole((cursor) => app.api.get('/api/v1/escalation/policies', { query: { limit: 100, cursor } }).then((data) => [data.policies, data.nextCursor])),
      ])
      this.onCall = onCall
      this.schedules = schedules
      this.policies = policies
      this.at = app.clock.now()
      this.learn(onCall.map((one) => [one.userId, one.userName]))
      await this.planMine()
      this.loadedAt = this.at
      await this.keep()
      const targets = policies.flatMap((policy) => policy.levels.flatMap((level) => level.targets))
      const ids = (type: string) => targets.flatMap((target) => (target.type === type && target.id ? [target.id] : []))
      void this.nameAll(ids('user'))
      void this.nameAll(ids('team'), (id) => app.api.get('/api/v1/teams/{id}', { path: { id } }).then(({ team }) => team.name))
    } catch (error) {
      this.error = error
      if (!(error instanceof ApiError)) app.reports.error(error, 'oncall')
    } finally {
      this.isLoading = false
    }
  }

  /** A look at who is on call, while somebody watches: everything is asked for again only where that has changed. */
  async look(): Promise<void> {
    if (this.at === null || this.isLoading) return this.load()
    try {
      const onCall = await this.askOnCall()
      if (app.clock.now() - this.loadedAt > LASTS || JSON.stringify(onCall) !== JSON.stringify(this.onCall)) return await this.load()
      this.at = app.clock.now()
      this.error = null
    } catch (error) {
      this.error = error
    }
  }

  private askOnCall(): Promise<OnCall[]> {
    return whole((cursor) => app.api.get('/api/v1/on-call', { query: { limit: 100, cursor } }).then((data) => [data.onCall, data.nextCursor]))
  }

  schedule(id: string): Schedule | null {
    return this.schedules.find((one) => one.id === id) ?? null
  }

  /** One schedule as it is now. Raises ApiError. */
  async loadSchedule(id: string): Promise<Schedule> {
    const { schedule } = await app.api.get('/api/v1/on-call/schedules/{id}', { path: { id } })
    const isKnown = this.schedules.some((one) => one.id === id)
    this.schedules = isKnown ? this.schedules.map((one) => (one.id === id ? schedule : one)) : [...this.schedules, schedule]
    return schedule
  }

  /** A week of a schedule, from the midnight of a day in its zone. Raises ApiError where nothing was seen of it. */
  async loadWeek(schedule: Schedule, monday: string): Promise<void> {
    const zone = knownZone(schedule.timezone)
    await this.fetch(schedule.id, monday, startOf(monday, zone), startOf(addDays(monday, 7), zone))
    await this.keep()
  }

  week(scheduleId: string, monday: string): Plan | null {
    return this.plans[`${scheduleId} ${monday}`] ?? null
  }

  /** This week of each schedule, as the picture of the first screen has it. */
  async loadWeeks(): Promise<void> {
    const now = app.clock.now()
    for (const some of chunks(this.schedules.slice(0, 20), 4)) {
      await Promise.all(some.map((one) => this.loadWeek(one, mondayOf(dayOf(now, knownZone(one.timezone))))))
    }
  }

  readonly myShifts = $derived.by<readonly MyShift[]>(() => {
    const me = app.user?.id
    if (me === undefined) return []
    return this.schedules
      .flatMap((schedule) => {
        const plan = this.plans[`${schedule.id} mine`]
        return shiftsOf(me, plan?.shifts ?? [], app.now).map((shift) => ({
          ...shift,
          isOpen: plan !== undefined && shift.to >= plan.to,
          scheduleId: schedule.id,
          scheduleName: schedule.name,
          zone: knownZone(schedule.timezone),
        }))
      })
      .toSorted((one, other) => one.from - other.from)
  })

  /** Where I am on call now, what ends last first: to the end of the last of my shifts that follow each other. */
  readonly mine = $derived.by<readonly MyShift[]>(() => {
    const now = app.now
    const isOn = (one: OnCall) => one.userId === app.user?.id && !(one.inactive ?? false) && Date.parse(one.startTime) <= now && Date.parse(one.endTime) > now
    return this.onCall
      .filter(isOn)
      .map((one) => {
        const running = this.myShifts.find((shift) => shift.scheduleId === one.scheduleId && shift.from <= now && shift.to > now)
        if (running !== undefined) return running
        const zone = knownZone(this.schedule(one.scheduleId)?.timezone ?? 'UTC')
        const { scheduleId, scheduleName } = one
        return { scheduleId, scheduleName, zone, from: Date.parse(one.startTime), to: Date.parse(one.endTime), isOpen: false }
      })
      .toSorted((one, other) => other.to - one.to)
  })

  /** Whether my shifts were looked at: before that nobody is told that they have none. */
  readonly isPlanned = $derived.by(() => this.minesOf().every((schedule) => this.plans[`${schedule.id} mine`] !== undefined))

  private minesOf(): readonly Schedule[] {
    const me = app.user?.id
    return me === undefined ? [] : this.schedules.filter((one) => isIn(one, me)).slice(0, MOST_MINE)
  }

  nameOf(id: string): string | null {
    return id === app.user?.id && app.user ? fullName(app.user) : (this.names[id] ?? null)
  }

  /** Asks for the names that are not known yet, of people unless it is said; whoever is gone has none. */
  async nameAll(ids: readonly string[], ask: (id: string) => Promise<string | null> = (id) => app.nameOf(id)): Promise<void> {
    const missing = [...new Set(ids)].filter((id) => this.names[id] === undefined && !this.asking.has(id)).slice(0, 100)
    for (const some of chunks(missing, 6)) {
      for (const id of some) this.asking.add(id)
      const found = await Promise.all(some.map(async (id) => [id, await ask(id).catch(() => null)] as const))
      this.learn(found.filter((one): one is readonly [string, string] => one[1] !== null))
    }
    if (missing.length > 0) await this.keep()
  }

  async overrides(scheduleId: string, cursor?: string): Promise<{ overrides: Override[]; nextCursor: string | null; total: number }> {
    const data = await app.api.get('/api/v1/on-call/schedules/{id}/overrides', { path: { id: scheduleId }, query: { limit: 20, cursor } })
    void this.nameAll(data.overrides.flatMap((one) => [one.userId, ...(one.replaces ? [one.replaces] : [])]))
    return { overrides: data.overrides, nextCursor: data.nextCursor ?? null, total: data.pagination.total }
  }

  /** Shifts around an override, to show what it would change. Raises ApiError. */
  async shifts(scheduleId: string, from: number, to: number): Promise<Shift[]> {
    const query = { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
    const { shifts } = await app.api.get('/api/v1/on-call/schedules/{id}/shifts', { path: { id: scheduleId }, query })
    void this.nameAll(shifts.map((shift) => shift.userId))
    return shifts
  }

  /** Raises ApiError. */
  async makeOverride(scheduleId: string, body: Schemas['OverrideBody']): Promise<Override> {
    const { override } = await app.api.post('/api/v1/on-call/schedules/{id}/overrides', { path: { id: scheduleId }, body })
    return override
  }

  async cancelOverride(scheduleId: string, overrideId: string): Promise<void> {
    await app.api.delete('/api/v1/on-call/schedules/{id}/overrides/{overrideId}', { path: { id: scheduleId, overrideId } })
  }

  private async planMine(): Promise<void> {
    const now = app.clock.now()
    for (const some of chunks(this.minesOf(), 4)) {
      await Promise.all(some.map((one) => this.fetch(one.id, 'mine', now - DAY, now + AHEAD)))
    }
  }

  private async fetch(id: string, name: string, from: number, to: number): Promise<void> {
    const query = { from: new Date(from).toISOString(), to: new Date(to).toISOString() }
    const data = await app.api.get('/api/v1/on-call/schedules/{id}/shifts', { path: { id }, query })
    const plan: Plan = { from, to, at: app.clock.now(), shifts: data.shifts, inactive: data.inactive ?? [] }
    this.plans = { ...this.plans, [`${id} ${name}`]: plan }
    void this.nameAll(data.shifts.map((shift) => shift.userId))
  }

  private learn(found: Iterable<readonly [string, string]>): void {
    this.names = { ...this.names, ...Object.fromEntries(found) }
  }

  private async keep(): Promise<void> {
    const userId = app.user?.id
    if (userId === undefined || this.at === null) return
    const plans = Object.entries(this.plans).sort(([, one], [, other]) => other.at - one.at)
    const kept: Kept = {
      ...{ userId, at: this.at, onCall: [...this.onCall], schedules: [...this.schedules], policies: [...this.policies] },
      plans: Object.fromEntries(plans.slice(0, MOST_PLANS)),
      names: { ...this.names },
    }
    try {
      await app.db.set(KEPT, kept)
    } catch (error) {
      // A full device shows it all the same; it will not have it offline.
      app.reports.error(error, 'oncall')
    }
  }
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) => items.slice(index * size, (index + 1) * size))
}

// Made with the module and by no screen: what a screen has derived ends with it.
const store = new OnCallStore()
let owner: string | undefined

/** One for all its screens: what one has seen the others show at once. Nobody sees what somebody else has seen here. */
export function onCallStore(): OnCallStore {
  if (owner !== app.user?.id) {
    owner = app.user?.id
    store.reset()
  }
  return store
}

/**
 * What somebody did, until the gateway has said yes or no. It survives a reload, is sent once (an idempotency key each),
 * in order for each incident, by one tab at a time; and what was refused stays to be read.
 */

import type { Api, Incident, Method } from './api'
import { backoff } from './backoff'
import type { Clock } from './clock'
import type { Database } from './db'
import { ApiError, type ErrorDetails } from './errors'

export type Action = 'acknowledge' | 'resolve' | 'close' | 'reopen' | 'reassign' | 'snooze' | 'suppress' | 'escalate' | 'responders' | 'notes' | 'edit'

export interface Refusal {
  status: number
  code: string
  message: string
  details: Partial<ErrorDetails>
  /** Who has made it impossible, by name, where the gateway said who and we know them. */
  by: string | null
}

export interface Entry {
  /** The idempotency key as well. */
  id: string
  /** The order in which things were done. */
  seq: number
  /** Whose: another person who signs in here does not send it. */
  userId: string
  incidentId: string
  action: Action
  method: Method
  path: string
  body: Record<string, unknown>
  ifMatch: string | null
  /** By the device's own clock, as `sentAt` will be: the gateway believes the difference alone. */
  occurredAt: string
  state: 'queued' | 'accepted' | 'refused'
  attempts: number
  /** Not sent before this, in milliseconds of the device. */
  notBefore: number
  settledAt: number | null
  refusal: Refusal | null
  /** The device had no room for it: it is gone with the page. */
  isUnkept?: boolean
}

export interface Wanted {
  incidentId: string
  action: Action
  body?: Record<string, unknown>
  ifMatch?: string
  /** Milliseconds in which it can be undone. */
  undoFor?: number
  /** Of what may be asked for twice, such as by a notification: under one id it is done once. */
  id?: string
}

export interface Surroundings {
  db: Database
  api: Pick<Api, 'raw'>
  clock: Clock
  userId: () => string | null
  /** A person's name by their id, if it is known or can be found out. */
  nameOf: (userId: string) => Promise<string | null>
  /** An answer has come: how the incident stands now. */
  accepted: (entry: Entry, incident: Incident | null) => void
  /** Something of the outbox is different. */
  changed: (entries: Entry[]) => void
  locks?: LockManager | undefined
  channel?: BroadcastChannel | undefined
  random?: () => number
}

/** Bodies in which the API takes `occurredAt` and `sentAt`. */
const TIMED: ReadonlySet<Action> = new Set([
  ...(['acknowledge', 'resolve', 'close', 'reopen', 'reassign', 'snooze', 'suppress', 'escalate', 'responders'] as const),
])
const LOCK = 'pager-outbox'
/** Accepted ones are shown for so long. */
const SHOWN = 10_000
const MOST_REFUSED = 100
const LONGEST_WAIT = 60_000

export class Outbox {
  private timer: ReturnType<typeof setTimeout> | null = null
  private flushing: Promise<void> | null = null
  /** Somebody has asked meanwhile: once more, and with what waits after a failure where they wanted that. */
  private again: { now: boolean } | null = null
  private stopped = false

  constructor(private readonly at: Surroundings) {
    at.channel?.addEventListener('message', () => void this.tell())
  }

  /** Do it as soon as possible. Raises StorageFull in a worker: then nothing is queued, and it has to say so. */
  async add(wanted: Wanted): Promise<Entry> {
    const entry = await this.keep(wanted)
    void this.flush()
    return entry
  }

  /** Keep it for the next `flush`. Raises StorageFull where what is not kept is an error (`Database.unkept`). */
  async keep(wanted: Wanted): Promise<Entry> {
    const userId = this.at.userId()
    if (userId === null) throw new ApiError(401, 'SIGNED_OUT', 'nobody is signed in')
    const { incidentId, action } = wanted
    const added = await this.at.db.addEntry((seq) => ({
      id: wanted.id ?? crypto.randomUUID(),
      seq,
      userId,
      incidentId,
      action,
      method: action === 'edit' ? 'patch' : 'post',
      path: action === 'edit' ? '/api/v1/incidents/{id}' : `/api/v1/incidents/{id}/${action}`,
      body: wanted.body ?? {},
      ifMatch: wanted.ifMatch ?? null,
      occurredAt: this.at.clock.deviceTime(),
      state: 'queued',
      attempts: 0,
      notBefore: this.at.clock.raw() + (wanted.undoFor ?? 0),
      settledAt: null,
      refusal: null,
    }))
    // What is gone with the page is sent at once.
    const hurried = added.isUnkept === true ? await this.at.db.changeEntry(added.id, (one) => ({ ...one, notBefore: this.at.clock.raw() })) : null
    const entry = hurried ?? added
    await this.tell(true)
    return entry
  }

  /** Undo: true where it was not sent yet and never will be. */
  async cancel(id: string): Promise<boolean> {
    let isGone = false
    await this.exclusively(async () => {
      await this.at.db.changeEntry(id, (entry) => {
        isGone = isUntried(entry)
        return isGone ? null : entry
      })
    }, true)
    await this.tell(true)
    return isGone
  }

  /** Whether anything waits only so that it can be undone. */
  async isUndoable(): Promise<boolean> {
    const now = this.at.clock.raw()
    return (await this.mine()).some((entry) => isUntried(entry) && entry.notBefore > now)
  }

  /** Nobody looks any more: what could still be undone is sent now, since a phone in a pocket runs no timer. */
  async hasten(): Promise<void> {
    const now = this.at.clock.raw()
    for (const entry of await this.mine()) {
      if (!isUntried(entry) || entry.notBefore <= now) continue
      await this.at.db.changeEntry(entry.id, (kept) => (isUntried(kept) ? { ...kept, notBefore: now } : kept))
    }
    await this.flush()
  }

  /** A refusal was read. */
  async dismiss(id: string): Promise<void> {
    await this.at.db.changeEntry(id, (entry) => (entry.state === 'queued' ? entry : null))
    await this.tell(true)
  }

  /** How many wait to be sent: what signing out asks about. */
  async waiting(): Promise<number> {
    return (await this.mine()).filter((entry) => entry.state === 'queued').length
  }

  /** Send what can be sent. `now`: also what waits after a failure, since there is a network again. */
  async flush(now = false): Promise<void> {
    if (this.flushing !== null) {
      this.again = { now: now || this.again?.now === true }
      await this.flushing
      return
    }
    this.flushing = this.rounds(now).finally(() => {
      this.flushing = null
    })
    await this.flushing
  }

  private taken(): { now: boolean } | null {
    const asked = this.again
    this.again = null
    return asked
  }

  private async rounds(now: boolean): Promise<void> {
    for (let round: { now: boolean } | null = { now }; round !== null; round = this.taken()) {
      const { now: all } = round
      await this.exclusively(() => this.sendAll(all)).catch(() => undefined) // the database is away; the timer asks again
    }
    await this.plan()
  }

  stop(): void {
    this.stopped = true
    if (this.timer !== null) clearTimeout(this.timer)
    this.at.channel?.close()
  }

  /** Show what there is, here and in the other tabs. */
  async tell(elsewhere = false): Promise<void> {
    if (this.stopped) return
    if (elsewhere) this.at.channel?.postMessage('changed')
    this.at.changed(await this.mine())
  }

  private async mine(): Promise<Entry[]> {
    const userId = this.at.userId()
    return (await this.at.db.entries()).filter((entry) => entry.userId === userId)
  }

  /** One tab sends. `wait`: until the other one has finished, instead of leaving it to them. */
  private async exclusively(work: () => Promise<void>, wait = false): Promise<void> {
    const locks = this.at.locks
    if (locks === undefined) return work()
    await locks.request(LOCK, { ifAvailable: !wait }, async (lock) => {
      if (lock !== null || wait) await work()
    })
  }

  private async sendAll(now: boolean): Promise<void> {
    const tried = new Set<string>()
    for (;;) {
      const entry = this.next(await this.mine(), tried, now)
      if (entry === undefined || this.stopped) break
      tried.add(entry.id)
      if (!(await this.sendOne(entry))) break
    }
    await this.tidy()
  }

  /** The first of each incident alone: what was done to it after that waits. */
  private next(entries: Entry[], tried: ReadonlySet<string>, now: boolean): Entry | undefined {
    const busy = new Set<string>()
    for (const entry of entries) {
      if (entry.state !== 'queued' || busy.has(entry.incidentId)) continue
      busy.add(entry.incidentId)
      const isDue = entry.notBefore <= this.at.clock.raw() || (now && entry.attempts > 0)
      if (isDue && !tried.has(entry.id)) return entry
    }
    return undefined
  }

  /** Whether there is any use in sending another one now. */
  private async sendOne(waiting: Entry): Promise<boolean> {
    // Written before it is sent: whoever dies in between has tried it, so that it cannot be undone any more.
    const entry = await this.at.db.changeEntry(waiting.id, (kept) =>
      kept.state === 'queued' ? { ...kept, attempts: kept.attempts + 1 } : kept,
    )
    if (entry === null || entry.state !== 'queued') return true
    const body = TIMED.has(entry.action)
      ? { ...entry.body, occurredAt: entry.occurredAt, sentAt: this.at.clock.deviceTime() }
      : entry.body
    try {
      const reply = await this.at.api.raw(entry.method, entry.path, {
        path: { id: entry.incidentId },
        body,
        idempotencyKey: entry.id,
        keepalive: true,
        ...(entry.ifMatch === null ? {} : { ifMatch: entry.ifMatch }),
      })
      await this.settle(entry, incidentOf(reply.body))
      return true
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      // It was done by an earlier try whose answer was lost; `sentAt` alone is another one.
      if (error.status === 409 && error.details.field === 'Idempotency-Key') {
        await this.settle(entry, null)
        return true
      }
      if (error.isTemporary) {
        await this.postpone(entry, error)
        return error.status >= 500
      }
      await this.refuse(entry, error)
      return true
    }
  }

  private async settle(entry: Entry, incident: Incident | null): Promise<void> {
    if (incident !== null) await this.at.db.putIncidents([incident])
    const settledAt = this.at.clock.raw()
    const settled = await this.at.db.changeEntry(entry.id, (kept) => ({ ...kept, state: 'accepted', settledAt }))
    this.at.accepted(settled ?? entry, incident)
    await this.tell(true)
  }

  private async postpone(entry: Entry, error: ApiError): Promise<void> {
    const wait = backoff(entry.attempts - 1, 1_000, LONGEST_WAIT, this.at.random)
    const notBefore = this.at.clock.raw() + Math.max(wait, (error.retryAfter ?? 0) * 1_000)
    await this.at.db.changeEntry(entry.id, (kept) => ({ ...kept, notBefore }))
    await this.tell(true)
  }

  private async refuse(entry: Entry, error: ApiError): Promise<void> {
    const by = typeof error.details.by === 'string' ? await this.at.nameOf(error.details.by).catch(() => null) : null
    const refusal = { status: error.status, code: error.code, message: error.message, details: error.details, by }
    const settledAt = this.at.clock.raw()
    await this.at.db.changeEntry(entry.id, (kept) => ({ ...kept, state: 'refused', settledAt, refusal }))
    await this.tell(true)
  }

  private async tidy(): Promise<void> {
    const now = this.at.clock.raw()
    const entries = await this.mine()
    const refused = entries.filter((entry) => entry.state === 'refused')
    const old = [
      ...entries.filter((entry) => entry.state === 'accepted' && Math.abs(now - (entry.settledAt ?? 0)) >= SHOWN),
      ...refused.slice(0, Math.max(0, refused.length - MOST_REFUSED)),
    ]
    for (const entry of old) await this.at.db.changeEntry(entry.id, () => null)
    if (old.length > 0) await this.tell(true)
  }

  /** Look again when the next one is due: no event is relied on. */
  private async plan(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    const entries = this.stopped ? [] : await this.mine().catch(() => [])
    const now = this.at.clock.raw()
    const due = entries
      .filter((entry) => entry.state !== 'refused')
      .map((entry) => (entry.state === 'queued' ? entry.notBefore : (entry.settledAt ?? 0) + SHOWN) - now)
    if (due.length === 0 || this.stopped) return
    // A clock that was set back must not keep it for hours.
    const wait = Math.min(Math.max(Math.min(...due), 250), LONGEST_WAIT)
    this.timer = setTimeout(() => void this.flush(), wait)
  }
}

function isUntried(entry: Entry): boolean {
  return entry.state === 'queued' && entry.attempts === 0
}

function incidentOf(body: unknown): Incident | null {
  const data = (body as { data?: { incident?: Incident } }).data
  return data?.incident ?? null
}

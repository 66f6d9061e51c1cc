/** The list: what is kept here at once, then what the gateway answers, page by page, then what the stream tells. */

import { app } from '../../core/app.svelte'
import { ApiError, type Incident } from '../../core/api'
import { EVERYTHING_OPEN, matches, questions, type Filter, type Question } from './filter'
import { isOver } from './states'

const PAGE = 50
/** Rows that a reload asks for again in each list. */
const MOST_AGAIN = 100
const SEARCH_AFTER = 300
const TOLD_AFTER = 400
const LOADED_AT = 'incidentsLoadedAt'

interface Lane {
  question: Question
  cursor: string | null
}

export class IncidentList {
  items = $state.raw<Incident[]>([])
  filter = $state.raw<Filter>({ ...EVERYTHING_OPEN })
  isLoading = $state(false)
  isLoadingMore = $state(false)
  hasMore = $state(false)
  error = $state.raw<unknown>(null)
  /** What is shown is from this device alone. */
  isLocal = $state(true)
  /** When the gateway has last said what there is, in corrected milliseconds. */
  loadedAt = $state<number | null>(null)
  /** Of the page, when somebody comes back to it. */
  scroll = 0

  private lanes: Lane[] = []
  private turn = 0
  private owner: string | null = null
  private told = new Map<string, Incident>()
  private abort: AbortController | null = null
  private timer: ReturnType<typeof setTimeout> | null = null

  /** While it is shown; the answer ends it. */
  start(): () => void {
    const userId = app.user?.id ?? null
    if (this.owner !== userId) this.forget(userId)
    const stop = app.follow({
      changed: (incident) => this.put(incident),
      gone: (id) => (this.items = this.items.filter((one) => one.id !== id)),
      list: () => this.soon(TOLD_AFTER),
    })
    void this.showKept().then(() => this.load())
    return () => {
      stop()
      if (this.timer !== null) clearTimeout(this.timer)
      this.abort?.abort()
    }
  }

  /** Others at once, words after a pause in the typing. */
  narrow(change: Partial<Filter>): void {
    const isTyping = Object.keys(change).length === 1 && 'q' in change
    this.filter = { ...this.filter, ...change }
    this.scroll = 0
    if (isTyping) return this.soon(SEARCH_AFTER)
    this.items = this.items.filter((one) => matches(one, this.filter, this.owner))
    void this.load()
  }

  async load(): Promise<void> {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.abort?.abort()
    const abort = (this.abort = new AbortController())
    const turn = (this.turn += 1)
    const { filter } = this
    const shown = this.items.length
    this.told.clear()
    this.isLoading = true
    try {
      const limit = Math.min(MOST_AGAIN, Math.max(PAGE, shown))
      const askedAt = app.clock.now()
      const answers = await Promise.all(questions(filter).map((question) => this.ask(question, null, limit, abort.signal)))
      if (turn !== this.turn) return
      this.lanes = answers.map(({ lane }) => lane)
      this.take(answers.flatMap(({ incidents }) => incidents), [])
      this.error = null
      this.isLocal = false
      this.loadedAt = app.clock.now()
      await this.keep(filter, askedAt)
    } catch (error) {
      if (turn !== this.turn || abort.signal.aborted) return
      await this.failed(error)
    } finally {
      if (turn === this.turn) this.isLoading = false
    }
  }

  async more(): Promise<void> {
    if (this.isLoading || this.isLoadingMore || !this.hasMore) return
    const { turn } = this
    this.isLoadingMore = true
    try {
      const answers = await Promise.all(
        this.lanes.map((lane) =>
          lane.cursor === null ? { lane, incidents: [] } : this.ask(lane.question, lane.cursor, PAGE, this.abort?.signal),
        ),
      )
      if (turn !== this.turn) return
      this.lanes = answers.map(({ lane }) => lane)
      this.take(answers.flatMap(({ incidents }) => incidents), this.items)
      this.error = null
    } catch (error) {
      if (turn === this.turn && !(error instanceof ApiError && error.isOffline)) this.error = error
    } finally {
      this.isLoadingMore = false
    }
  }

  /** How an incident stands now. Of two states the one with the larger version is the newer. */
  put(incident: Incident): void {
    const here = this.items.find((one) => one.id === incident.id)
    if (here !== undefined && here.version > incident.version) return
    this.told.set(incident.id, incident)
    const others = this.items.filter((one) => one.id !== incident.id)
    this.items = matches(incident, this.filter, this.owner) ? [incident, ...others] : others
  }

  private async ask(question: Question, cursor: string | null, limit: number, signal: AbortSignal | undefined) {
    const query = { ...question, limit, ...(cursor === null ? {} : { cursor }) }
    const { incidents, nextCursor } = await app.api.get('/api/v1/incidents', { query, ...(signal ? { signal } : {}) })
    void app.db.putIncidents(incidents).catch((error: unknown) => app.reports.error(error, 'db'))
    return { lane: { question, cursor: nextCursor ?? null }, incidents }
  }

  /** Each once, as new as we know it, and with what was told while this was asked. */
  private take(answered: readonly Incident[], before: readonly Incident[]): void {
    const known = new Map(this.items.map((one) => [one.id, one]))
    const all = new Map(before.map((one) => [one.id, one]))
    for (const incident of answered) {
      const here = known.get(incident.id)
      const newest = here !== undefined && here.version > incident.version ? here : incident
      // In an answer of a search is also what has its words in another form.
      if (newest === incident || matches(newest, { ...this.filter, q: '' }, this.owner)) all.set(newest.id, newest)
    }
    for (const incident of this.told.values()) {
      if ((all.get(incident.id)?.version ?? 0) > incident.version) continue
      if (matches(incident, this.filter, this.owner)) all.set(incident.id, incident)
      else all.delete(incident.id)
    }
    this.items = [...all.values()]
    this.hasMore = this.lanes.some((lane) => lane.cursor !== null)
  }

  /** What was over while nobody told us must not be shown as open without a network. */
  private async keep(filter: Filter, askedAt: number): Promise<void> {
    await app.db.set(LOADED_AT, this.loadedAt)
    const isWhole = filter.view === 'open' && filter.priority === '' && !filter.mine && filter.teamId === '' && filter.q.trim() === ''
    if (!isWhole || this.hasMore) return
    const open = new Set(this.items.map((one) => one.id))
    for (const one of await app.db.incidents()) {
      if (!isOver(one) && !open.has(one.id) && Date.parse(one.updatedAt) < askedAt - 60_000) await app.db.forgetIncident(one.id)
    }
  }

  private async failed(error: unknown): Promise<void> {
    const isAway = error instanceof ApiError && error.isTemporary
    this.lanes = []
    this.hasMore = false
    if (!isAway) {
      this.error = error
      return
    }
    await this.showKept()
    this.isLocal = true
    // Away and nothing here: that is worth an error; else the list with its age says enough.
    this.error = this.items.length === 0 && this.filter.q === '' ? error : null
  }

  private async showKept(): Promise<void> {
    const { filter } = this
    const [kept, loadedAt] = await Promise.all([
      app.db.incidents().catch(() => []),
      this.loadedAt ?? app.db.setting<number>(LOADED_AT).catch(() => null),
    ])
    this.loadedAt ??= loadedAt
    if (filter !== this.filter) return
    const known = new Map(this.items.map((one) => [one.id, one]))
    for (const one of kept) if ((known.get(one.id)?.version ?? 0) <= one.version) known.set(one.id, one)
    this.items = [...known.values()].filter((one) => matches(one, filter, this.owner))
  }

  private soon(wait: number): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = setTimeout(() => void this.load(), wait)
  }

  private forget(userId: string | null): void {
    this.owner = userId
    this.items = []
    this.filter = { ...EVERYTHING_OPEN }
    this.loadedAt = null
    this.isLocal = true
    this.error = null
    this.scroll = 0
  }
}

/** There is one, so that whoever comes back finds it as it was. */
export const list = new IncidentList()

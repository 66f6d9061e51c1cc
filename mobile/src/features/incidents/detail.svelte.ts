/** One incident: what is kept here at once, then the gateway's, then what the stream tells; its timeline page by page. */

import { app } from '../../core/app.svelte'
import { ApiError, type Incident } from '../../core/api'
import type { TimelineEntry } from '../../core/db'

const PAGE = 200
/** So many pages of a timeline at once; more by a button. */
const PAGES_AT_ONCE = 5
const AFTER = 250

export class IncidentDetail {
  incident = $state.raw<Incident | null>(null)
  timeline = $state.raw<TimelineEntry[]>([])
  hasMoreTimeline = $state(false)
  isLoading = $state(true)
  isTimelineLoaded = $state(false)
  error = $state.raw<unknown>(null)
  /** It is not there, or not for us. */
  isGone = $state(false)

  /** The page that has to be read again when something happens: the last one that was read. */
  private cursor: string | null = null
  private timer: ReturnType<typeof setTimeout> | null = null
  private isOver = false

  constructor(readonly id: string) {}

  start(): () => void {
    const stop = app.follow({
      changed: (incident) => {
        if (incident.id !== this.id) return
        this.put(incident)
        this.soon()
      },
      gone: (id) => {
        if (id === this.id) this.isGone = true
      },
      list: () => void this.load(),
    })
    void this.showKept().then(() => this.load())
    return () => {
      this.isOver = true
      stop()
      if (this.timer !== null) clearTimeout(this.timer)
    }
  }

  async load(): Promise<void> {
    this.isLoading = true
    try {
      const { incident } = await app.api.get('/api/v1/incidents/{id}', { path: { id: this.id } })
      this.put(incident)
      this.error = null
      this.isGone = false
      await app.db.putIncidents([incident])
      await this.loadTimeline()
    } catch (error) {
      if (error instanceof ApiError && (error.status === 404 || error.status === 400)) {
        this.isGone = true
        await app.db.forgetIncident(this.id)
      } else this.error = error
    } finally {
      this.isLoading = false
    }
  }

  /** Further pages, from the last one that was read. */
  async loadTimeline(): Promise<void> {
    for (let pages = 0; pages < PAGES_AT_ONCE && !this.isOver; pages += 1) {
      const query = { limit: PAGE, ...(this.cursor === null ? {} : { cursor: this.cursor }) }
      const page = await app.api.get('/api/v1/incidents/{id}/timeline', { path: { id: this.id }, query })
      const known = new Map(this.timeline.map((entry) => [entry.eventId, entry]))
      for (const entry of page.entries) known.set(entry.eventId, entry)
      this.timeline = [...known.values()]
      this.isTimelineLoaded = true
      this.hasMoreTimeline = (page.nextCursor ?? null) !== null
      if (!page.nextCursor) break
      this.cursor = page.nextCursor
    }
    await app.db.putTimeline(this.id, this.timeline)
  }

  private put(incident: Incident): void {
    if (this.incident === null || this.incident.version <= incident.version) this.incident = incident
  }

  private async showKept(): Promise<void> {
    const [incident, timeline] = await Promise.all([app.db.incident(this.id), app.db.timeline(this.id)])
    if (incident !== null) this.put(incident)
    if (this.timeline.length === 0 && timeline.length > 0) this.timeline = timeline
  }

  /** Of a burst of events the timeline is asked for once. */
  private soon(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = setTimeout(() => void this.loadTimeline().catch(() => undefined), AFTER)
  }
}

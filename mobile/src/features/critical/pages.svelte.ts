/**
 * What wakes whoever is signed in: critical incidents that page them and that nobody has. They come by a push that was
 * tapped, a link, the stream, or are found when the app starts; the same one twice is one red screen, and several wait
 * for each other.
 */

import { app } from '../../core/app.svelte'
import type { Incident } from '../../core/api'
import { t } from '../../core/i18n'
import { router } from '../../core/navigation'
import { alerts } from '../../native/alerts'
import { toasts } from '../../ui/toasts.svelte'
import { groupOf, isAnsweredHere, short } from '../incidents/states'

/** Events by which somebody is paged. */
const PAGES: ReadonlySet<string> = new Set(['EscalationDue', 'EscalationExhausted'])
/** When it is asked whom an event has paged: what tells it may come a moment later. */
const ASKED_AFTER: readonly number[] = [0, 250, 1_000]
const MOST_FOUND = 20
const MOST_LEFT = 200
const FETCHED_AFTER = 2_000

export interface Page {
  id: string
  incident: Incident | null
  /** When this device heard of it, by `performance.now()`; null: nobody waits for the screen any more. */
  since: number | null
}

class Pages {
  /** The first one is shown. */
  waiting = $state.raw<readonly Page[]>([])
  /** Which pages of which incidents were left without an answer: only another page of them wakes again. */
  private readonly left = new Map<string, string>()

  /** From now on: whoever is paged sees red, on whatever screen they are. */
  watch(): () => void {
    // Fetched while there is time: at three in the morning, or without a network, there is none.
    setTimeout(() => void import('./Alert.svelte').catch(() => undefined), FETCHED_AFTER)
    return app.follow({
      changed: (incident, event) => {
        this.refresh(incident)
        if (PAGES.has(event) && burns(incident)) void this.told(incident, performance.now())
      },
      gone: (id) => this.drop(id),
      list: () => void this.find(),
    })
  }

  /** The screen of this one is there. */
  shown(id: string): void {
    if (!isAlert(router.path)) return
    const first = this.waiting.find((page) => page.id === id) ?? { id, incident: null, since: performance.now() }
    this.waiting = [first, ...this.waiting.filter((page) => page.id !== id)]
  }

  /** The first time that it can be seen: milliseconds since it was heard of. */
  seen(id: string): number | null {
    const page = this.waiting.find((one) => one.id === id)
    if (page === undefined || page.since === null) return null
    this.waiting = this.waiting.map((one) => (one.id === id ? { ...one, since: null } : one))
    return performance.now() - page.since
  }

  /** It was answered, or is over: on to the next one, or to the incident. */
  done(id: string): void {
    this.goOn(id)
    // There may be more than are looked for at once.
    if (this.waiting.length === 0) void this.find()
  }

  private goOn(id: string): void {
    this.drop(id)
    const next = this.waiting[0]
    router.go(next === undefined ? `/incidents/${id}` : `/alert/${next.id}`, { replace: true })
  }

  /** Not now: it goes on paging, and its next page wakes again. */
  leave(incident: Incident | null, id: string): void {
    if (incident !== null) {
      this.left.set(id, keyOf(incident))
      if (this.left.size > MOST_LEFT) this.left.delete([...this.left.keys()][0] ?? '')
      this.done(id)
    } else this.goOn(id) // not looked for again: it would be found, and could not be left
  }

  /** Whether a link to it is the red screen: it burns, pages them, and was neither answered nor left here. */
  async mayBe(incident: Incident): Promise<boolean> {
    return this.wakes(incident) && (await pagesMe(incident, [0]))
  }

  private wakes(incident: Incident): boolean {
    return (
      incident.priority === 'critical' &&
      burns(incident) &&
      this.left.get(incident.id) !== keyOf(incident) &&
      !isAnsweredHere(app.entries, incident.id)
    )
  }

  private async told(incident: Incident, since: number): Promise<void> {
    if (!(await pagesMe(incident, ASKED_AFTER))) return
    if (incident.priority !== 'critical') return this.mention(incident)
    if (this.wakes(incident)) this.add({ id: incident.id, incident, since })
  }

  /** What pages them and is not critical makes a sound, and does not take the screen away. */
  private mention(incident: Incident): void {
    void alerts.ring({ priority: incident.priority }).catch(() => undefined)
    const open = { label: t('critical.open'), run: () => router.go(`/incidents/${incident.id}`) }
    toasts.show(t('critical.pagesYou', { priority: t(`priority.${incident.priority}`), title: short(incident.title) }), { action: open, lasts: 15_000 })
  }

  private add(page: Page): void {
    const here = this.waiting.find((one) => one.id === page.id)
    if (here === undefined) this.waiting = [...this.waiting, page]
    else this.refresh(page.incident)
    const first = this.waiting[0]
    if (first !== undefined && !isAlert(router.path)) router.go(`/alert/${first.id}`)
  }

  /** What happened while nobody told us: at the start, and after the line was gone. */
  private async find(): Promise<void> {
    if (app.state !== 'signedIn') return
    const since = performance.now()
    try {
      const query = { priority: 'critical', limit: MOST_FOUND } as const
      const answers = await Promise.all(
        (['escalated', 'created'] as const).map((status) => app.api.get('/api/v1/incidents', { query: { ...query, status } })),
      )
      const found = answers.flatMap(({ incidents }) => incidents).filter((incident) => this.wakes(incident))
      const mine = await Promise.all(found.slice(0, MOST_FOUND).map((incident) => pagesMe(incident, [0])))
      for (const [index, incident] of found.entries()) if (mine[index] === true) this.add({ id: incident.id, incident, since })
    } catch {
      // Away: the list is asked for again when the line is back.
    }
  }

  private refresh(incident: Incident | null): void {
    if (incident === null) return
    this.waiting = this.waiting
      .map((page) => (page.id === incident.id && (page.incident?.version ?? 0) <= incident.version ? { ...page, incident } : page))
      // Of those behind the one that is shown: whoever was faster spares it.
      .filter((page, index) => index === 0 || page.incident === null || burns(page.incident))
  }

  private drop(id: string): void {
    this.waiting = this.waiting.filter((page) => page.id !== id)
  }
}

export const pages = new Pages()

function burns(incident: Incident): boolean {
  return groupOf(incident, app.clock.now()) === 'burning'
}

function isAlert(path: string): boolean {
  return path.startsWith('/alert/') || /^\/incidents\/[^/]+\/alert$/.test(path)
}

/** Another page of it: a level fired again, or its paging started anew. */
function keyOf(incident: Incident): string {
  return `${incident.run ?? 1} ${incident.levelsRun ?? 0}`
}

async function pagesMe(incident: Incident, after: readonly number[]): Promise<boolean> {
  const userId = app.user?.id
  if (userId === undefined) return false
  if (incident.assignedTo === userId || (incident.responders ?? []).includes(userId)) return true
  for (const wait of after) {
    if (wait > 0) await new Promise((done) => setTimeout(done, wait))
    try {
      const { people } = await app.api.get('/api/v1/incidents/{id}/explain', {
        path: { id: incident.id },
        query: { userId },
        timeout: 5_000,
      })
      const me = people.find((person) => person.userId === userId)
      if (me !== undefined && (me.outcome === 'paged' || me.chain.some(({ type }) => type === 'NotificationIntended'))) return true
    } catch {
      return false
    }
  }
  return false
}

/** Names in the place of ids: people, teams and schedules, asked for when they are shown and kept for without a network. */

import { SvelteMap } from 'svelte/reactivity'
import { app } from '../../core/app.svelte'

export type Kind = 'user' | 'team' | 'schedule' | 'policy'
const ID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi
const MOST_KEPT = 500
const AGAIN_AFTER = 15_000
const SETTING = 'names'

class Names {
  private readonly known = new SvelteMap<string, string>()
  private readonly asked = new Map<string, number>()
  private owner: string | null = null
  private ready: Promise<void> = Promise.resolve()

  /** Null as long as it is not known. To be called where it is shown: it comes by itself. */
  of(id: string | null | undefined, kind: Kind = 'user'): string | null {
    const me = app.user
    if (!id || !isId(id) || me === null) return null
    if (id === me.id) return `${me.firstName} ${me.lastName}`.trim()
    // Looked up in any case: whoever shows it is told when it is there.
    const name = this.known.get(id)
    if (name !== undefined && this.owner === me.id) return name
    queueMicrotask(() => void this.ask(id, kind))
    return null
  }

  /** Of who has done something: a person, or an integration, a key, a service, which the API does not name to everybody. */
  actor({ kind, id }: { kind: string; id: string }): string | null {
    return kind === 'user' ? this.of(id) : null
  }

  /** A text of the gateway with names in the place of the ids of those whom we know. */
  within(text: string): string {
    return text.replace(/\b(?:(schedule|team|user|policy):? )?(?:(schedule|team|user):)?([0-9a-f-]{36})(?::(\w+))?/gi, (whole, before, kind, id, role) => {
      if (!isId(id)) return whole
      const name = this.of(id, (kind ?? before ?? 'user') as Kind)
      if (name === null) return before === undefined && kind === undefined ? whole : `${before ?? kind}${role ? ` ${role}s` : ''}`
      return `${before !== undefined ? `${before} ` : ''}${name}${role ? ` (${role}s)` : ''}`
    })
  }

  put(id: string, name: string): void {
    this.known.set(id, name)
  }

  private async ask(id: string, kind: Kind): Promise<void> {
    const userId = app.user?.id ?? null
    if (userId !== this.owner) this.become(userId)
    await this.ready
    const now = app.clock.raw()
    if (this.known.has(id) || now - (this.asked.get(id) ?? -Infinity) < AGAIN_AFTER) return
    this.asked.set(id, now)
    try {
      const name = await ask(id, kind)
      if (name === null || app.user?.id !== userId) return
      this.known.set(id, name)
      await app.db.set(SETTING, Object.fromEntries([...this.known].slice(-MOST_KEPT)))
    } catch {
      // Not for us, or no network: whoever is shown stays without a name, and it is asked again later.
    }
  }

  /** Another person knows other people. */
  private become(userId: string | null): void {
    this.owner = userId
    this.known.clear()
    this.asked.clear()
    this.ready = app.db
      .setting<Record<string, string>>(SETTING)
      .then((kept) => {
        for (const [id, name] of Object.entries(kept ?? {})) this.known.set(id, name)
      })
      .catch(() => undefined)
  }
}

export const names = new Names()

export function isId(text: string): boolean {
  return new RegExp(`^${ID.source}$`, 'i').test(text)
}

async function ask(id: string, kind: Kind): Promise<string | null> {
  if (kind === 'user') return app.nameOf(id)
  if (kind === 'team') return (await app.api.get('/api/v1/teams/{id}', { path: { id } })).team.name
  if (kind === 'policy') return (await app.api.get('/api/v1/escalation/policies/{id}', { path: { id } })).policy.name
  return (await app.api.get('/api/v1/on-call/schedules/{id}', { path: { id } })).schedule.name
}

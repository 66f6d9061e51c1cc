/** Names of people and things that screens here choose among and show. One for all of them. */

import type { Schemas } from '../../core/api'
import { app, fullName } from '../../core/app.svelte'
import { whole } from '../../core/whole'

export interface Option {
  value: string
  label: string
}
type Kind = 'teams' | 'schedules' | 'policies' | 'integrations'

class Known {
  people = $state.raw<Readonly<Record<string, string>>>({})
  teams = $state.raw<readonly Option[]>([])
  schedules = $state.raw<readonly Option[]>([])
  policies = $state.raw<readonly Option[]>([])
  integrations = $state.raw<readonly Option[]>([])
  private readonly asking = new Set<string>()
  private owner: string | undefined

  /** Ask for lists; one that is refused stays as it is, and what is chosen is shown by its id. */
  async load(...kinds: Kind[]): Promise<void> {
    this.check()
    await Promise.all(
      kinds.map(async (kind) => {
        try {
          this[kind] = (await whole<Named>((cursor) => page(kind, cursor))).map(({ id, name }) => ({ value: id, label: name }))
        } catch (error) {
          app.reports.error(error, `known ${kind}`)
        }
      }),
    )
  }

  /** A person's name, and a start to find it out. Whoever is gone has none. */
  person(id: string): string | null {
    return id === app.user?.id && app.user ? fullName(app.user) : (this.people[id] ?? null)
  }

  async ask(ids: readonly string[]): Promise<void> {
    this.check()
    const missing = [...new Set(ids)].filter((id) => !this.asking.has(id)).slice(0, 100)
    for (const id of missing) this.asking.add(id)
    for (let start = 0; start < missing.length; start += 6) {
      const some = missing.slice(start, start + 6)
      const found = await Promise.all(some.map(async (id) => [id, await app.nameOf(id).catch(() => null)] as const))
      this.learn(found.filter((one): one is readonly [string, string] => one[1] !== null))
    }
  }

  learn(found: Iterable<readonly [string, string]>): void {
    const all = [...found]
    if (all.length > 0) this.people = { ...this.people, ...Object.fromEntries(all) }
  }

  label(kind: Kind, id: string): string | null {
    return this[kind].find((option) => option.value === id)?.label ?? null
  }

  /** What somebody else has seen here is not shown to whoever signs in next. */
  private check(): void {
    if (this.owner === app.user?.id) return
    this.owner = app.user?.id
    this.people = {}
    this.teams = this.schedules = this.policies = this.integrations = []
    this.asking.clear()
  }
}

export const known = new Known()

type Named = { id: string; name: string }
type Asked = [items: readonly Named[], next: string | null | undefined]

async function page(kind: Kind, cursor: string | undefined): Promise<Asked> {
  const query = { limit: 100, cursor }
  if (kind === 'teams') return app.api.get('/api/v1/teams', { query }).then((data) => [data.teams, data.nextCursor])
  if (kind === 'schedules') return app.api.get('/api/v1/on-call/schedules', { query }).then((data) => [data.schedules, data.nextCursor])
  if (kind === 'policies') return app.api.get('/api/v1/escalation/policies', { query }).then((data) => [data.policies, data.nextCursor])
  return app.api.get('/api/v1/integrations', { query }).then((data) => [data.integrations, data.nextCursor])
}

/** People by a part of their name or address. */
export async function findPeople(q: string, signal?: AbortSignal): Promise<Schemas['UserView'][]> {
  const { users } = await app.api.get('/api/v1/users', { query: { limit: 8, q: q.trim() === '' ? undefined : q.trim() }, ...(signal ? { signal } : {}) })
  known.learn(users.map((user) => [user.id, fullName(user)]))
  return users
}

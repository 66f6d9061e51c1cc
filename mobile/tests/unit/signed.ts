/** Somebody who is signed in, at a gateway that answers by method and path. */

import { Api, type User } from '../../src/core/api'
import { app } from '../../src/core/app.svelte'
import { MovedClock, ok, openDatabase, refused, START, type Asked } from './tools'

type Answer = ReturnType<typeof ok>
type Said = Answer | ((asked: Asked & { query: URLSearchParams }) => Answer)

export class Doors {
  readonly asked: (Asked & { query: URLSearchParams })[] = []
  private readonly answers = new Map<string, Said>()

  /** `GET /on-call`: data of a good answer, or an answer. The last one said counts. */
  on(door: string, said: Said): this {
    this.answers.set(door, said)
    return this
  }

  /** Bodies of what was sent to a door. */
  sent(door: string): unknown[] {
    return this.asked.filter((one) => `${one.method} ${one.path}` === door).map((one) => one.body)
  }

  last(door: string): Asked & { query: URLSearchParams } {
    const found = this.asked.findLast((one) => `${one.method} ${one.path}` === door)
    if (found === undefined) throw new Error(`${door} was not asked`)
    return found
  }

  readonly fetch = (async (address: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => {
    const url = new URL(String(address), 'https://pager.test')
    const asked = {
      method: init.method ?? 'GET',
      path: url.pathname.replace('/api/v1', ''),
      query: url.searchParams,
      headers: new Headers(init.headers),
      body: typeof init.body === 'string' ? JSON.parse(init.body) : null,
    }
    this.asked.push(asked)
    const said = this.answers.get(`${asked.method} ${asked.path}`) ?? refused(404, 'NOT_FOUND')
    const answer = (typeof said === 'function' ? said(asked) : said) as Answer
    if (typeof answer === 'string') throw new TypeError('Failed to fetch')
    const text = typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body ?? {})
    return new Response(text, { status: answer.status ?? 200, ...(answer.headers ? { headers: answer.headers } : {}) })
  }) as typeof fetch
}

export function person(id: string, firstName = id, more: Partial<User> = {}): User {
  const at = new Date(START).toISOString()
  return { id, email: `${id}@pager.test`, firstName, lastName: 'Test', roles: ['user'], timezone: 'UTC', teams: [], version: 1, createdAt: at, updatedAt: at, isActive: true, reachable: true, ...more } as User
}

export async function signIn(user: User, doors = new Doors()): Promise<{ doors: Doors; time: MovedClock }> {
  const time = new MovedClock()
  const held = app as unknown as Record<string, unknown>
  held['clock'] = time.clock
  held['api'] = new Api(time.clock, 'web', doors.fetch)
  held['auth'] = { get: async () => 'a-token' }
  held['db'] = await openDatabase(() => time.at)
  app.user = user
  app.state = 'signedIn'
  app.isOnline = true
  app.now = time.at
  return { doors, time }
}

/** A page of a list as the API has it. */
export function page(name: string, items: readonly unknown[], nextCursor: string | null = null) {
  return ok({ [name]: items, nextCursor, pagination: { total: items.length, limit: 100 } })
}

export function schedule(id: string, more: object = {}) {
  const at = new Date(START).toISOString()
  const layer = { rotationType: 'daily', interval: 1, shiftLength: null, start: '2026-03-02T09:00:00', end: null, participants: ['u1', 'u2'], restrictions: [] }
  return { id, name: `Schedule ${id}`, description: null, timezone: 'Europe/Berlin', isActive: true, layers: [layer], overrides: [], inactive: [], erased: [], teamId: null, version: 3, createdBy: 'u1', createdAt: at, updatedAt: at, ...more }
}

export function shift(userId: string, startTime: string, endTime: string, isOverride = false) {
  return { userId, startTime, endTime, layer: 0, isOverride }
}

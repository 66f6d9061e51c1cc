/** An app that is signed in, before a gateway that answers by path. */

import { vi } from 'vitest'
import type { Incident } from '../../src/core/api'
import { type Asked, Gateway, ok, refused } from './tools'

export const ANA = '11111111-1111-4111-8111-111111111111'
export const BO = '22222222-2222-4222-8222-222222222222'
export const TEAM = '33333333-3333-4333-8333-333333333333'
export const SHIFTS = '44444444-4444-4444-8444-444444444444'

export const ana = {
  ...{ id: ANA, email: 'ana@pager.test', firstName: 'Ana', lastName: 'Alvarez', roles: ['user'], reachable: true },
  teams: [{ id: TEAM, name: 'Checkout', role: 'member' }],
}
export const bo = { id: BO, email: 'bo@pager.test', firstName: 'Bo', lastName: 'Berg', roles: ['user'], reachable: true, phone: '+4915112345678' }

class Socket {
  readyState = 1
  send() {}
  close() {}
}

type Answer = ReturnType<typeof ok>
export type Answers = Record<string, Answer | ((asked: Asked, path: URL) => Answer | Promise<Answer>)>

/** `GET /incidents` and the like; the longest that fits answers. What is not named is not there. */
export class World {
  readonly gateway = new Gateway()
  isAway = false
  constructor(public answers: Answers) {
    this.gateway.answer((asked) => this.answer(asked))
  }
  asked(what: string): Asked[] {
    const [method, path] = what.split(' ')
    return this.gateway.asked.filter((one) => one.method === method && this.pathOf(one).pathname === `/api/v1${path}`)
  }
  private pathOf(asked: Asked): URL {
    return new URL(asked.path, 'https://pager.test')
  }
  private answer(asked: Asked): Answer | Promise<Answer> {
    const path = this.pathOf(asked)
    if (path.pathname === '/api/v1/auth/login') return ok({ user: ana, tokens: { accessToken: 'a1', expiresIn: 900 } })
    if (this.isAway) return 'network'
    const answer = this.answers[`${asked.method} ${path.pathname.slice('/api/v1'.length)}`]
    if (answer === undefined) return refused(404, 'NOT_FOUND')
    return typeof answer === 'function' ? answer(asked, path) : answer
  }
}

let before: { outbox: { stop(): void }; live: { stop(): void } } | null = null

/** Everything is imported anew: there is one app, one list and one queue of pages. */
export async function signedIn(answers: Answers = {}) {
  // The app of the test before must not send anything to this gateway.
  before?.outbox?.stop()
  before?.live?.stop()
  vi.resetModules()
  indexedDB = new IDBFactory()
  history.replaceState(null, '', '/app/incidents')
  const world = new World(answers)
  vi.stubGlobal('fetch', (...given: Parameters<typeof fetch>) => world.gateway.fetch(...given))
  vi.stubGlobal('WebSocket', Socket)
  const { app } = await import('../../src/core/app.svelte')
  const { router } = await import('../../src/core/navigation')
  before = app
  await app.start()
  await app.auth.signIn({ email: ana.email, password: 'x' })
  const followers = (app as unknown as { followers: Set<{ changed?: (one: Incident, event: string) => void; gone?: (id: string) => void; list?: () => void }> }).followers
  return {
    ...{ app, router, world },
    tell: (one: Incident, event = 'IncidentChanged') => followers.forEach((each) => each.changed?.(one, event)),
    gone: (id: string) => followers.forEach((each) => each.gone?.(id)),
    listAgain: () => followers.forEach((each) => each.list?.()),
  }
}

/** Answers wait until they are let go. */
export function gate() {
  let open: () => void = () => undefined
  const opened = new Promise<void>((done) => (open = done))
  return { open, opened }
}

export const page = (incidents: readonly Incident[], nextCursor: string | null = null) => ok({ incidents, nextCursor, pagination: { limit: 50, total: incidents.length } })

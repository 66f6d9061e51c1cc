/** A clock that is moved, a database of one's own, a gateway that answers as it is told. */

import type { Incident } from '../../src/core/api'
import { Api } from '../../src/core/api'
import { Clock } from '../../src/core/clock'
import { Database } from '../../src/core/db'

export const START = Date.UTC(2026, 2, 2, 3, 12)

export class MovedClock {
  at = START
  readonly clock = new Clock(() => this.at)
  move(milliseconds: number): void {
    this.at += milliseconds
  }
}

let databases = 0
export function openDatabase(now: () => number = () => START, mostBytes?: number, name = `test-${(databases += 1)}`): Promise<Database> {
  return Database.open(now, mostBytes, name)
}

export interface Asked {
  method: string
  path: string
  headers: Headers
  body: unknown
}
type Said = { status?: number; body?: unknown; headers?: Record<string, string> } | 'network' | 'never'

/** Answers in the order in which they were given; the last one stays. */
export class Gateway {
  readonly asked: Asked[] = []
  private readonly answers: ((asked: Asked) => Said | Promise<Said>)[] = []

  answer(...said: (Said | ((asked: Asked) => Said | Promise<Said>))[]): this {
    this.answers.push(...said.map((one) => (typeof one === 'function' ? one : () => one)))
    return this
  }

  readonly fetch = (async (address: RequestInfo | URL, init: RequestInit = {}): Promise<Response> => {
    const asked = {
      method: init.method ?? 'GET',
      path: String(address),
      headers: new Headers(init.headers),
      body: typeof init.body === 'string' ? JSON.parse(init.body) : null,
    }
    this.asked.push(asked)
    const next = this.answers.length > 1 ? this.answers.shift() : this.answers[0]
    const said = next === undefined ? ok({}) : await next(asked)
    if (said === 'network') throw new TypeError('Failed to fetch')
    if (said === 'never') {
      return new Promise((_done, failed) => {
        const stop = () => failed(new DOMException('aborted', 'AbortError'))
        if (init.signal?.aborted) stop()
        init.signal?.addEventListener('abort', stop)
      })
    }
    const text = typeof said.body === 'string' ? said.body : JSON.stringify(said.body ?? {})
    return new Response(text, { status: said.status ?? 200, ...(said.headers ? { headers: said.headers } : {}) })
  }) as typeof fetch

  api(clock: Clock, client: 'app' | 'web' = 'web'): Api {
    return new Api(clock, client, this.fetch)
  }
}

export function ok(data: unknown, headers?: Record<string, string>): Said {
  return { status: 200, body: { success: true, data }, ...(headers ? { headers } : {}) }
}

export function refused(status: number, code: string, details?: unknown, headers?: Record<string, string>): Said {
  return { status, body: { success: false, error: { code, message: `${code} it is`, details } }, ...(headers ? { headers } : {}) }
}

export function incident(id: string, more: Partial<Incident> = {}): Incident {
  const at = new Date(START).toISOString()
  return {
    ...{ id, number: 1, version: 1, title: 'Database failure', description: null, priority: 'critical', status: 'created' },
    ...{ lane: 'urgent', assignedTo: null, createdBy: 'machine', createdAt: at, updatedAt: at },
    ...{ escalationTimeoutMinutes: 15, alertCount: 1, metadata: {} },
    ...more,
  } as Incident
}

/** Until it is so, or a second has passed. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 3_000
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error('it never became so')
    await new Promise((done) => setImmediate(done))
  }
}

/** The gateway as a program uses it: who is there, what happens, and what has become of it. */

import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { promisify } from 'node:util'
import { inject } from 'vitest'
import type { Incident, Schemas } from '../../src/core/api'

export const pager = inject('pager')
const PAGER = new URL('../../../.venv/bin/pager', import.meta.url).pathname
export const PASSWORD = 'Correct-Horse-7-Battery'

export interface Person {
  id: string
  email: string
  password: string
  name: string
}

/** Polls until it is true, or says what there was instead. */
export async function until<Value>(look: () => Promise<Value>, fits: (value: Value) => boolean, what: string, within = 30_000): Promise<Value> {
  const end = Date.now() + within
  for (;;) {
    const value = await look()
    if (fits(value)) return value
    if (Date.now() > end) throw new Error(`not within ${within / 1_000} s: ${what}; there was ${JSON.stringify(value)?.slice(0, 2_000)}`)
    await new Promise((done) => setTimeout(done, 100))
  }
}

export async function call<Data>(method: string, path: string, body?: unknown, token?: string): Promise<Data> {
  const answer = await fetch(`${pager.gateway}/api/v1${path}`, {
    method,
    headers: {
      'Content-Type': 'application/json',
      ...(method === 'POST' && !path.startsWith('/auth/') ? { 'Idempotency-Key': randomUUID() } : {}),
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
    },
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(20_000),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
  return text === '' ? (undefined as Data) : (JSON.parse(text) as { data: Data }).data
}

const tokens = new Map<string, Promise<string>>()
/** Somebody's token, from a phone of theirs that gets its pushes at the simulator: who has none is passed over at once. */
export function tokenOf({ email, password }: Pick<Person, 'email' | 'password'>): Promise<string> {
  const known = tokens.get(email) ?? call<Schemas['SignedInView']>('POST', '/auth/login', {
    ...{ email, password, deviceId: `phone of ${email}`, platform: 'android', pushToken: `fcm-${randomUUID()}-${randomUUID()}` },
  }).then((data) => data.tokens.accessToken)
  tokens.set(email, known)
  return known
}
/** After somebody's teams or roles have changed: what was given out before says too little. */
export const forgetTokens = (): void => tokens.clear()
const admin = () => tokenOf({ email: pager.adminEmail, password: pager.adminPassword })
export const asAdmin = async <Data>(method: string, path: string, body?: unknown) => call<Data>(method, path, body, await admin())

let count = 0
export async function person(firstName: string, lastName = 'Tester', roles: string[] = ['user'], more: Record<string, unknown> = {}): Promise<Person> {
  const email = typeof more['email'] === 'string' ? more['email'] : `${firstName}-${process.pid}-${(count += 1)}@pager.local`.toLowerCase()
  const { user } = await asAdmin<{ user: { id: string } }>('POST', '/users', { email, password: PASSWORD, firstName, lastName, roles, ...more })
  const made = { id: user.id, email, password: PASSWORD, name: `${firstName} ${lastName}` }
  await tokenOf(made)
  return made
}

export interface Level {
  timeoutMinutes: number
  people: readonly Person[]
}
/** An integration whose alerts page these people; its key. */
export async function integration(name: string, levels: readonly Level[]): Promise<{ key: string; policyId: string }> {
  const { policy } = await asAdmin<{ policy: { id: string } }>('POST', '/escalation/policies', {
    name: `${name} ${randomUUID().slice(0, 8)}`,
    repeat: 0,
    levels: levels.map(({ timeoutMinutes, people }) => ({ timeoutMinutes, targets: people.map(({ id }) => ({ type: 'user', id })) })),
  })
  const made = await asAdmin<{ integration: { key: string } }>('POST', '/integrations', { name: `${name} ${policy.id.slice(0, 8)}`, type: 'generic', policyId: policy.id })
  return { key: made.integration.key, policyId: policy.id }
}

/** An alert, as a monitoring system sends one. */
export async function alert(summary: string, key: string, { priority = 'critical', ...more }: Record<string, string> = {}): Promise<void> {
  const options = Object.entries(more).flatMap(([name, value]) => [`--${name}`, value])
  await promisify(execFile)(PAGER, ['alert', 'send', summary, '--priority', priority, '--routing-key', key, ...options], {
    env: { ...process.env, PAGER_HOME: pager.home },
  })
}

export async function openIncident(title: string, more: Record<string, unknown> = {}): Promise<Incident> {
  return (await asAdmin<{ incident: Incident }>('POST', '/incidents', { title, priority: 'critical', ...more })).incident
}
export async function incident(id: string): Promise<Incident> {
  return (await asAdmin<{ incident: Incident }>('GET', `/incidents/${id}`)).incident
}
export async function incidentCalled(title: string): Promise<Incident> {
  const found = await until(
    async () => (await asAdmin<{ incidents: Incident[] }>('GET', '/incidents?limit=100')).incidents.find((one) => one.title === title),
    (one) => one !== undefined,
    `an incident called ${title}`,
  )
  return found as Incident
}
export const becomes = (id: string, status: string) => until(() => incident(id), (one) => one.status === status, `incident ${id} is ${status}`)

interface Change {
  action: string
  actor: { kind: string; id: string }
}
export async function audit(id: string): Promise<Change[]> {
  return (await asAdmin<{ entries: Change[] }>('GET', `/incidents/${id}/audit`)).entries
}
/** How often somebody has acknowledged it, by what is written down. */
export async function acknowledgements(id: string): Promise<number> {
  return (await audit(id)).filter(({ action }) => action === 'IncidentAcknowledged').length
}

/** An administrator ends what a person has open in browsers. */
export async function endBrowserSessions(of: Person): Promise<void> {
  const { sessions } = await asAdmin<{ sessions: { id: string; platform?: string | null }[] }>('GET', `/users/${of.id}/sessions`)
  const inBrowsers = sessions.filter(({ platform }) => platform !== 'android')
  if (inBrowsers.length === 0) throw new Error(`${of.name} has no session in a browser`)
  for (const { id } of inBrowsers) await asAdmin('DELETE', `/users/${of.id}/sessions/${id}`)
}

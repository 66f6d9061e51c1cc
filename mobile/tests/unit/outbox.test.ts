import { beforeEach, describe, expect, it } from 'vitest'
import type { Incident } from '../../src/core/api'
import type { Database } from '../../src/core/db'
import { Outbox, type Entry } from '../../src/core/outbox'
import { refusalText } from '../../src/core/refusal'
import { Gateway, incident, MovedClock, ok, openDatabase, refused, START, until } from './tools'

let db: Database
let moved: MovedClock
let gateway: Gateway
let accepted: (Incident | null)[]
let shown: Entry[]
let user: string | null

function outbox(more: Partial<ConstructorParameters<typeof Outbox>[0]> = {}): Outbox {
  return new Outbox({
    db,
    api: gateway.api(moved.clock),
    clock: moved.clock,
    userId: () => user,
    nameOf: async (id) => (id === 'u2' ? 'Bo Berg' : null),
    accepted: (_entry, one) => accepted.push(one),
    changed: (entries) => (shown = entries),
    random: () => 1,
    ...more,
  })
}
const settled = () => until(async () => (await db.entries()).every((entry) => entry.state !== 'queued'))

beforeEach(async () => {
  db = await openDatabase()
  moved = new MovedClock()
  gateway = new Gateway()
  accepted = []
  shown = []
  user = 'u1'
})

describe('what is sent', () => {
  it('carries its key, when it was done and when it is sent', async () => {
    gateway.answer(ok({ incident: incident('i1', { status: 'acknowledged', version: 2 }) }))
    const box = outbox()
    const entry = await box.add({ incidentId: 'i1', action: 'acknowledge', body: { notes: 'mine' }, ifMatch: '"1"' })
    await settled()
    const [asked] = gateway.asked
    expect(asked?.path).toBe('/api/v1/incidents/i1/acknowledge')
    expect(asked?.headers.get('Idempotency-Key')).toBe(entry.id)
    expect(asked?.headers.get('If-Match')).toBe('"1"')
    expect(asked?.body).toEqual({ notes: 'mine', occurredAt: new Date(START).toISOString(), sentAt: new Date(START).toISOString() })
    expect((await db.incident('i1'))?.status).toBe('acknowledged')
    expect(accepted).toHaveLength(1)
    expect(shown[0]?.state).toBe('accepted')
    box.stop()
  })

  it('a note and an edit say nothing about time', async () => {
    gateway.answer(ok({ note: {} }))
    const box = outbox()
    await box.add({ incidentId: 'i1', action: 'notes', body: { text: 'hm' } })
    await settled()
    await box.add({ incidentId: 'i1', action: 'edit', body: { title: 'x' }, ifMatch: '"1"' })
    await settled()
    expect(gateway.asked.map(({ method, path, body }) => [method, path, body])).toEqual([
      ['POST', '/api/v1/incidents/i1/notes', { text: 'hm' }],
      ['PATCH', '/api/v1/incidents/i1', { title: 'x' }],
    ])
    box.stop()
  })

  it('needs somebody', async () => {
    user = null
    await expect(outbox().add({ incidentId: 'i1', action: 'acknowledge' })).rejects.toMatchObject({ code: 'SIGNED_OUT' })
  })
})

describe('what is kept', () => {
  it.each<[string, Parameters<Gateway['answer']>[0]]>([
    ['no network', 'network' as const],
    ['500', refused(500, 'INTERNAL')],
    ['503', refused(503, 'UNAVAILABLE')],
    ['429', refused(429, 'RATE_LIMITED')],
    ['401', refused(401, 'UNAUTHENTICATED')],
    ['408', refused(408, 'REQUEST_TIMEOUT')],
    ['a proxy’s page', { status: 502, body: '<html>' }],
    ...([200, 401, 403, 404, 511].map((status) => [`a hotel’s page with ${status}`, { status, body: '<html>Log in to the WiFi</html>' }]) as [string, { status: number; body: string }][]),
  ])('%s keeps it, and the same key goes again', async (_what, said) => {
    gateway.answer(said, ok({ incident: incident('i1') }))
    const box = outbox()
    const entry = await box.add({ incidentId: 'i1', action: 'acknowledge' })
    await until(async () => (await db.entries())[0]?.notBefore !== START)
    expect((await db.entries())[0]).toMatchObject({ state: 'queued', attempts: 1 })
    expect(await box.waiting()).toBe(1)
    await box.flush()
    expect(gateway.asked).toHaveLength(1) // not before it is due
    moved.move(61_000)
    await box.flush()
    expect((await db.entries())[0]?.state).toBe('accepted')
    expect(gateway.asked.map((asked) => asked.headers.get('Idempotency-Key'))).toEqual([entry.id, entry.id])
    expect(gateway.asked[1]?.body).toMatchObject({ occurredAt: new Date(START).toISOString(), sentAt: new Date(START + 61_000).toISOString() })
    box.stop()
  })

  it('is not kept for the sake of an undo once nobody looks', async () => {
    gateway.answer(ok({ incident: incident('i1', { status: 'acknowledged', version: 2 }) }))
    const box = outbox()
    await box.add({ incidentId: 'i1', action: 'acknowledge', undoFor: 5_000 })
    await box.flush()
    expect([gateway.asked.length, await box.isUndoable()]).toEqual([0, true])
    await box.hasten()
    expect([gateway.asked.length, await box.isUndoable(), (await db.entries())[0]?.state]).toEqual([1, false, 'accepted'])
    await box.hasten()
    expect(gateway.asked).toHaveLength(1)
    box.stop()
  })

  it('waits as long as the gateway says, and goes at once when somebody looks', async () => {
    gateway.answer(refused(429, 'RATE_LIMITED', undefined, { 'Retry-After': '30' }), ok({}))
    const box = outbox()
    await box.add({ incidentId: 'i1', action: 'acknowledge' })
    await until(async () => (await db.entries())[0]?.notBefore === START + 30_000)
    await box.flush(true)
    expect((await db.entries())[0]?.state).toBe('accepted')
    box.stop()
  })

  it('survives a reload, and another person does not send it', async () => {
    gateway.answer('network')
    const box = outbox()
    await box.add({ incidentId: 'i1', action: 'acknowledge' })
    await until(async () => (await db.entries())[0]?.notBefore !== START)
    box.stop()
    gateway = new Gateway().answer(ok({ incident: incident('i1') }))
    user = 'u2'
    const after = outbox()
    await after.flush(true)
    expect(gateway.asked).toHaveLength(0)
    user = 'u1'
    await after.flush(true)
    expect(gateway.asked).toHaveLength(1)
    after.stop()
  })

  it('was done already where only its time of sending differs', async () => {
    gateway.answer(refused(409, 'CONFLICT', { field: 'Idempotency-Key' }))
    const box = outbox()
    await box.add({ incidentId: 'i1', action: 'acknowledge' })
    await settled()
    expect((await db.entries())[0]?.state).toBe('accepted')
    expect(accepted).toEqual([null])
    box.stop()
  })
})

describe('what is refused', () => {
  it('says who was faster, and stays until it was read', async () => {
    gateway.answer(refused(409, 'CONFLICT', { state: 'resolved', at: new Date(START).toISOString(), by: 'u2' }))
    const box = outbox()
    const entry = await box.add({ incidentId: 'i1', action: 'acknowledge' })
    await settled()
    const kept = (await db.entries())[0]
    expect(kept).toMatchObject({ state: 'refused', refusal: { by: 'Bo Berg', status: 409 } })
    const time = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hour12: false }).format(START)
    expect(refusalText(kept!.refusal!, START)).toBe(`Refused: already resolved by Bo Berg at ${time}`)
    await box.dismiss(entry.id)
    expect(await db.entries()).toEqual([])
    box.stop()
  })

  it.each([
    [404, 'NOT_FOUND', 'Refused: the incident is not there for you any more'],
    [403, 'FORBIDDEN', 'Refused: you may not do this'],
    [412, 'PRECONDITION_FAILED', 'Refused: somebody has changed it meanwhile'],
    [400, 'VALIDATION_ERROR', 'Refused: VALIDATION_ERROR it is'],
  ])('%i drops it', async (status, code, text) => {
    gateway.answer(refused(status, code))
    const box = outbox()
    await box.add({ incidentId: 'i1', action: 'acknowledge' })
    await settled()
    expect(refusalText((await db.entries())[0]!.refusal!, START)).toBe(text)
    await box.flush(true)
    expect(gateway.asked).toHaveLength(1)
    box.stop()
  })

  it('tells less where less is known', () => {
    const refusal = { status: 409, code: 'CONFLICT', message: 'no', by: null, details: { state: 'closed' } }
    expect(refusalText(refusal, START)).toBe('Refused: it is closed by now')
    expect(refusalText({ ...refusal, details: { state: 'closed', at: '2026-01-01T10:00:00Z' } }, START)).toContain('already closed at')
    expect(refusalText({ ...refusal, details: { state: '<b>' } }, START)).toBe('Refused: no')
  })
})

describe('the order', () => {
  it('is kept for an incident, and another one does not wait for it', async () => {
    gateway.answer((asked) => (asked.path.includes('/i1/') ? refused(500, 'INTERNAL') : ok({})))
    const box = outbox()
    await box.add({ incidentId: 'i1', action: 'acknowledge' })
    await until(async () => (await db.entries())[0]?.notBefore !== START)
    await box.add({ incidentId: 'i1', action: 'resolve' })
    await box.add({ incidentId: 'i2', action: 'acknowledge' })
    await until(async () => (await db.entries())[2]?.state === 'accepted')
    expect(gateway.asked.map((asked) => asked.path.split('/').slice(-2).join(' '))).toEqual(['i1 acknowledge', 'i2 acknowledge'])
    box.stop()
  })

  it('can be undone until it was sent', async () => {
    gateway.answer(ok({}))
    const box = outbox()
    const entry = await box.add({ incidentId: 'i1', action: 'acknowledge', undoFor: 5_000 })
    await box.flush(true)
    expect(gateway.asked).toHaveLength(0)
    expect(await box.cancel(entry.id)).toBe(true)
    const sent = await box.add({ incidentId: 'i1', action: 'acknowledge' })
    await settled()
    expect(await box.cancel(sent.id)).toBe(false)
    box.stop()
  })

  it('one tab sends, and the accepted ones are forgotten', async () => {
    gateway.answer(ok({}))
    let isFree = false
    const locks = {
      request: async (_name: string, options: { ifAvailable: boolean }, work: (lock: object | null) => Promise<void>) =>
        work(isFree || !options.ifAvailable ? {} : null),
    } as unknown as LockManager
    const box = outbox({ locks })
    await box.add({ incidentId: 'i1', action: 'acknowledge' })
    await box.flush()
    expect(gateway.asked).toHaveLength(0)
    isFree = true
    await box.flush()
    await settled()
    moved.move(20_000)
    await box.flush()
    expect(await db.entries()).toEqual([])
    box.stop()
  })
})

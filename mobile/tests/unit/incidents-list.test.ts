import { describe, expect, it, vi } from 'vitest'
import type { Incident } from '../../src/core/api'
import { ANA, BO, gate, page, signedIn, TEAM, type Answers } from './incidents-tools'
import { incident, ok, refused, START, until } from './tools'

const old = (id: string, more: Partial<Incident> = {}) => incident(id, { updatedAt: new Date(START).toISOString(), ...more })

/** `GET /incidents` out of these, by status, as the gateway does. */
function serving(all: () => readonly Incident[], cursors: Record<string, readonly Incident[]> = {}): Answers {
  return {
    'GET /incidents': (_asked, { searchParams }) => {
      const cursor = searchParams.get('cursor')
      if (cursor !== null) return page(cursors[cursor] ?? [])
      const status = searchParams.get('status')
      const q = searchParams.get('q')
      const found = all().filter((one) => (status === null || one.status === status) && (q === null || one.title.includes(q)))
      return page(found, status === 'created' ? (Object.keys(cursors)[0] ?? null) : null)
    },
  }
}
async function started(answers: Answers) {
  const all = await signedIn(answers)
  const { list } = await import('../../src/features/incidents/list.svelte')
  return { ...all, list, ids: () => list.items.map(({ id }) => id).sort() }
}

describe('the list of incidents', () => {
  it('shows what is here, then what the gateway says, then what is told', async () => {
    const { open, opened } = gate()
    const answers = serving(() => [old('i1'), old('i2', { status: 'escalated' }), old('i3', { status: 'acknowledged' })])
    const answer = answers['GET /incidents'] as Extract<Answers[string], (...given: never[]) => unknown>
    const { app, list, ids, tell, gone } = await started({ 'GET /incidents': (asked, path) => opened.then(() => answer(asked, path)) })
    await app.db.putIncidents([old('kept'), old('over', { status: 'closed' })])
    const stop = list.start()
    await until(() => ids().join() === 'kept')
    expect(list.isLocal).toBe(true)
    open()
    await until(() => ids().join() === 'i1,i2,i3')
    expect([list.isLocal, list.error, list.hasMore, list.loadedAt !== null]).toEqual([false, null, false, true])
    // What the gateway does not know as open any more is not shown as open without a network.
    await until(async () => (await app.db.incident('kept')) === null)
    expect(await app.db.incident('over')).not.toBeNull()

    tell(old('i4', { title: 'New' }))
    tell(old('i1', { status: 'resolved', version: 2 }))
    tell(old('i2', { status: 'escalated', version: 0, title: 'older' }))
    gone('i3')
    expect(ids()).toEqual(['i2', 'i4'])
    expect(list.items.find(({ id }) => id === 'i2')?.title).not.toBe('older')
    stop()
  })

  it('keeps what was told while it was asked', async () => {
    const { open, opened } = gate()
    const { list, ids, tell, world } = await started({})
    world.answers['GET /incidents'] = async (_asked, { searchParams }) => {
      await opened
      return page(searchParams.get('status') === 'created' ? [old('i1', { version: 1 })] : [])
    }
    const loading = list.load()
    tell(old('i1', { version: 2, status: 'acknowledged', title: 'told' })) // nobody follows yet
    list.put(old('i1', { version: 2, status: 'resolved' }))
    list.put(old('i2'))
    open()
    await loading
    expect(ids()).toEqual(['i2'])
  })

  it('reads page after page', async () => {
    const { list, ids, world } = await started(serving(() => [old('i1')], { next: [old('i2')] }))
    await list.load()
    expect([ids(), list.hasMore]).toEqual([['i1'], true])
    await list.more()
    expect([ids(), list.hasMore]).toEqual([['i1', 'i2'], false])
    await list.more()
    expect(world.asked('GET /incidents')).toHaveLength(4)
    world.answers = serving(() => [old('i1')], { next: [] })
    await list.load()
    world.answers['GET /incidents'] = refused(500, 'INTERNAL')
    await list.more()
    expect(list.error).toMatchObject({ status: 500 })
    expect(ids()).toEqual(['i1'])
  })

  it('narrows at once, and searches after a pause in the typing', async () => {
    const { list, ids, world } = await started(serving(() => [old('i1', { title: 'disk', priority: 'low' }), old('i2', { title: 'queue', assignedTo: ANA, teamId: TEAM })]))
    await list.load()
    list.narrow({ priority: 'low' })
    expect(ids()).toEqual(['i1'])
    list.narrow({ priority: '', mine: true, teamId: TEAM })
    await until(() => !list.isLoading)
    expect(world.gateway.asked.at(-1)?.path).toMatch(/assignedTo=me&teamId=/)
    list.narrow({ mine: false, teamId: '' })
    await until(() => !list.isLoading)
    const before = world.asked('GET /incidents').length
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    for (const q of ['d', 'di', 'dis']) list.narrow({ q })
    vi.advanceTimersByTime(299)
    expect(world.asked('GET /incidents')).toHaveLength(before)
    vi.advanceTimersByTime(1)
    vi.useRealTimers()
    await until(() => ids().join() === 'i1')
    expect(world.asked('GET /incidents')).toHaveLength(before + 3)
  })

  it('without a network shows what is here and how old it is; without anything, why', async () => {
    const { app, list, ids, world, listAgain } = await started(serving(() => [old('i1', { title: 'disk' }), old('i2', { title: 'queue' })]))
    const stop = list.start()
    await until(() => !list.isLocal)
    world.isAway = true
    await list.load()
    expect([ids(), list.isLocal, list.error, app.isOnline]).toEqual([['i1', 'i2'], true, null, false])
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    list.narrow({ q: 'disk' })
    vi.advanceTimersByTime(300)
    vi.useRealTimers()
    await until(() => ids().join() === 'i1')
    list.narrow({ q: '' })
    list.narrow({ view: 'closed' })
    await until(() => list.error !== null && !list.isLoading)
    expect(list.items).toEqual([])
    world.isAway = false
    list.narrow({ view: 'open' })
    await until(() => ids().join() === 'i1,i2')
    world.answers['GET /incidents'] = refused(403, 'FORBIDDEN')
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    listAgain()
    vi.advanceTimersByTime(400)
    vi.useRealTimers()
    await until(() => list.error !== null)
    expect(list.error).toMatchObject({ status: 403 })
    stop()
  })

  it('is another one for another person', async () => {
    const { app, list } = await started(serving(() => [old('i1')]))
    list.start()()
    await list.load()
    list.filter = { ...list.filter, mine: true }
    app.user = { ...app.user!, id: BO }
    const stop = list.start()
    expect([list.items, list.filter.mine]).toEqual([[], false])
    stop()
  })
})

describe('what is done to incidents', () => {
  async function acting(answers: Answers) {
    const all = await signedIn(answers)
    return { ...all, ...(await import('../../src/features/incidents/act')), ...(await import('../../src/ui/toasts.svelte')) }
  }

  it('can be taken back for five seconds', async () => {
    const { app, acknowledgeWithUndo, takeBack, toasts, world } = await acting({ 'POST /incidents/i1/acknowledge': ok({ incident: old('i1', { status: 'acknowledged' }) }) })
    await acknowledgeWithUndo(old('i1', { title: 'x'.repeat(100) }))
    expect(toasts.shown?.text).toMatch(/^Acknowledging “x{59}…”$/)
    const entry = app.entries[0]!
    expect(entry.notBefore - Date.parse(entry.occurredAt)).toBeGreaterThan(4_000)
    toasts.shown?.action?.run()
    await until(() => app.entries.length === 0)
    await until(() => toasts.shown?.text === 'Taken back: it was not sent.')
    expect(world.asked('POST /incidents/i1/acknowledge')).toEqual([])
    await takeBack(entry)
    expect(toasts.shown).toMatchObject({ kind: 'error', text: 'Too late: it was sent already.' })
  })

  it('that cannot be kept is said', async () => {
    const { app, act, acknowledgeWithUndo, toasts } = await acting({})
    const { StorageFull } = await import('../../src/core/db')
    vi.spyOn(app.outbox, 'add').mockRejectedValue(new StorageFull('full'))
    expect(await act({ incidentId: 'i1', action: 'resolve' })).toBeNull()
    expect(toasts.shown).toMatchObject({ kind: 'error', text: 'This device has no room left. It was not kept.' })
    await acknowledgeWithUndo(old('i1'))
    expect(toasts.shown?.kind).toBe('error')
  })

  it('to many is one request with a result for each', async () => {
    const results = [{ id: 'i1', ok: true }, { id: 'i2', ok: false, error: { code: 'CONFLICT', message: 'resolve it first' } }]
    const { actOnMany, summary, world } = await acting({ 'POST /incidents/bulk': ok({ results }) })
    const outcomes = await actOnMany('close', [old('i1', { title: 'One' }), old('i2', { title: 'Two' })], 'k1')
    expect(outcomes).toEqual([
      { id: 'i1', title: 'One', result: 'done', reason: '' },
      { id: 'i2', title: 'Two', result: 'refused', reason: 'resolve it first' },
    ])
    expect(summary(outcomes)).toBe('1 done. 1 refused.')
    const [asked] = world.asked('POST /incidents/bulk')
    // The same once more is the same to the gateway: no time of the device is in it.
    expect([asked?.headers.get('Idempotency-Key'), asked?.body]).toEqual(['k1/0', { action: 'close', ids: ['i1', 'i2'] }])
    world.answers['POST /incidents/bulk'] = refused(503, 'UNAVAILABLE')
    await expect(actOnMany('close', [old('i1')], 'k1')).rejects.toMatchObject({ status: 503 })
  })

  it('to more than the gateway takes at once is several requests, and none is left out', async () => {
    const many = Array.from({ length: 230 }, (_, number) => old(`i${number}`))
    const { actOnMany, world } = await acting({
      'POST /incidents/bulk': ({ body }) => ok({ results: (body as { ids: string[] }).ids.map((id) => ({ id, ok: true })) }),
    })
    const outcomes = await actOnMany('acknowledge', many, 'k1')
    expect(outcomes.map(({ id, result }) => [id, result])).toEqual(many.map(({ id }) => [id, 'done']))
    const asked = world.asked('POST /incidents/bulk')
    expect(asked.map(({ headers, body }) => [headers.get('Idempotency-Key'), (body as { ids: string[] }).ids.length])).toEqual([
      ['k1/0', 100],
      ['k1/100', 100],
      ['k1/200', 30],
    ])
  })

  it('to many without a network is queued, each by itself', async () => {
    const { app, actOnMany, world, summary } = await acting({})
    world.isAway = true
    const outcomes = await actOnMany('resolve', [old('i1'), old('i2')], 'k1')
    expect(summary(outcomes)).toBe('2 queued: sent once there is a network.')
    expect(app.entries.map(({ incidentId, action }) => [incidentId, action])).toEqual([['i1', 'resolve'], ['i2', 'resolve']])
    expect(app.isOnline).toBe(false)
    vi.spyOn(app.outbox, 'add').mockRejectedValue(new Error('no'))
    expect((await actOnMany('resolve', [old('i3')], 'k2'))[0]).toMatchObject({ result: 'refused' })
    expect(world.asked('POST /incidents/bulk')).toHaveLength(1)
  })
})

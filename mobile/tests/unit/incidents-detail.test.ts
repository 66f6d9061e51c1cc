import { describe, expect, it } from 'vitest'
import { ana, ANA, bo, BO, gate, SHIFTS, signedIn, TEAM, type Answers } from './incidents-tools'
import { incident, ok, refused, until } from './tools'

const fact = (id: string) => ({ eventId: id, at: new Date().toISOString(), type: 'NoteAdded', actor: { kind: 'user', id: ANA }, summary: `note: ${id}` })
const lines = (ids: string[], nextCursor: string | null = null) => ok({ entries: ids.map(fact), nextCursor })

describe('one incident', () => {
  async function opened(answers: Answers, before?: (app: Awaited<ReturnType<typeof signedIn>>['app']) => Promise<void>) {
    const all = await signedIn(answers)
    await before?.(all.app)
    const { IncidentDetail } = await import('../../src/features/incidents/detail.svelte')
    const detail = new IncidentDetail('i1')
    return { ...all, detail, stop: detail.start(), known: () => detail.timeline.map(({ eventId }) => eventId) }
  }

  it('shows what is here, then the gateway’s, then what is told', async () => {
    const line = gate()
    const { app, detail, known, tell, gone, stop, world } = await opened(
      { 'GET /incidents/i1': () => line.opened.then(() => ok({ incident: incident('i1', { version: 2 }) })), 'GET /incidents/i1/timeline': lines(['a', 'b']) },
      async (app) => {
        await app.db.putIncidents([incident('i1', { title: 'kept' })])
        await app.db.putTimeline('i1', [fact('a')] as never)
      },
    )
    await until(() => detail.incident?.title === 'kept')
    line.open()
    await until(() => detail.incident?.version === 2 && known().join() === 'a,b')
    world.answers['GET /incidents/i1/timeline'] = lines(['a', 'b', 'c'])
    tell(incident('i1', { version: 3, status: 'acknowledged' }))
    tell(incident('other'))
    tell(incident('i1', { version: 1 }))
    expect(detail.incident?.status).toBe('acknowledged')
    await until(() => known().length === 3)
    expect((await app.db.timeline('i1')).length).toBe(3)
    gone('i1')
    expect(detail.isGone).toBe(true)
    stop()
    expect(world.asked('GET /incidents/i1')).toHaveLength(1)
  })

  it('reads a long timeline page by page, and the last page again', async () => {
    const cursors: (string | null)[] = []
    const { detail, known, tell, stop } = await opened({
      'GET /incidents/i1': ok({ incident: incident('i1') }),
      'GET /incidents/i1/timeline': (_asked, { searchParams }) => {
        const cursor = searchParams.get('cursor')
        cursors.push(cursor)
        const number = Number(cursor ?? 0)
        return lines([`e${number}`], number < 6 ? String(number + 1) : null)
      },
    })
    await until(() => known().length === 5)
    expect(detail.hasMoreTimeline).toBe(true)
    await detail.loadTimeline()
    expect([known().length, detail.hasMoreTimeline]).toEqual([7, false])
    tell(incident('i1', { version: 2 }))
    await until(() => cursors.filter((one) => one === '6').length === 2)
    stop()
  })

  it('says that it is gone, or what went wrong', async () => {
    const { app, detail, stop, world } = await opened({}, (app) => app.db.putIncidents([incident('i1')]))
    await until(() => detail.isGone)
    expect(await app.db.incident('i1')).toBeNull()
    world.answers['GET /incidents/i1'] = refused(500, 'INTERNAL')
    await detail.load()
    expect(detail.error).toMatchObject({ status: 500 })
    stop()
  })
})

describe('names', () => {
  async function naming(answers: Answers) {
    const all = await signedIn(answers)
    return { ...all, ...(await import('../../src/features/incidents/names.svelte')) }
  }
  it('come by themselves, are kept for without a network, and stand in texts', async () => {
    const { app, names, world } = await naming({
      [`GET /users/${BO}`]: ok({ user: bo }),
      [`GET /teams/${TEAM}`]: ok({ team: { name: 'Checkout' } }),
      [`GET /on-call/schedules/${SHIFTS}`]: ok({ schedule: { name: 'Primary' } }),
      [`GET /escalation/policies/${SHIFTS}`]: ok({ policy: { name: 'Default' } }),
    })
    expect([names.of(ANA), names.of(null), names.of('integration'), names.of(BO)]).toEqual(['Ana Alvarez', null, null, null])
    await until(() => names.of(BO) === 'Bo Berg')
    await until(() => names.of(TEAM, 'team') === 'Checkout')
    await until(() => names.of(SHIFTS, 'schedule') === 'Primary')
    expect(names.within(`level 2 is due: team:${TEAM}:manager and schedule:${SHIFTS}, by ${BO}`)).toBe('level 2 is due: Checkout (managers) and Primary, by Bo Berg')
    const unknown = '99999999-9999-4999-8999-999999999999'
    expect(names.within(`policy ${unknown} version 1; team:${unknown}:manager; ${unknown}; ${'-'.repeat(36)}`)).toBe(`policy version 1; team managers; ${unknown}; ${'-'.repeat(36)}`)
    await until(async () => Object.keys((await app.db.setting<object>('names')) ?? {}).length === 3)
    await until(() => world.asked(`GET /escalation/policies/${unknown}`).length > 0)
    expect(world.asked(`GET /users/${BO}`)).toHaveLength(1)
  })
  it('of somebody else are not this person’s', async () => {
    const { app, names } = await naming({ [`GET /users/${BO}`]: ok({ user: bo }) })
    names.of(BO)
    await until(() => names.of(BO) === 'Bo Berg')
    app.user = { ...app.user!, id: TEAM }
    expect(names.of(BO)).toBeNull()
    // From the device, though the gateway is asked for nothing.
    await until(() => names.of(BO) === 'Bo Berg')
  })
})

describe('a new incident', () => {
  async function drafting(answers: Answers) {
    const all = await signedIn(answers)
    const { Draft } = await import('../../src/features/incidents/draft.svelte')
    return { ...all, draft: new Draft() }
  }
  it('is sent with what was filled in', async () => {
    const { draft, world, app } = await drafting({ 'POST /incidents': ok({ incident: incident('i9') }) })
    draft.title = '  Down '
    draft.rows[0]!.value = ' Rack 1 '
    draft.addRow()
    Object.assign(draft.rows[1]!, { name: 'service', value: 'shop' })
    draft.addRow()
    draft.removeRow(2)
    Object.assign(draft, { description: 'all of it', teamId: TEAM, policyId: SHIFTS, assignedTo: BO, priority: 'critical' })
    expect(await draft.send()).toBe('i9')
    expect(world.asked('POST /incidents')[0]?.body).toEqual({
      ...{ title: 'Down', priority: 'critical', description: 'all of it', teamId: TEAM, policyId: SHIFTS, assignedTo: BO },
      metadata: { location: 'Rack 1', service: 'shop' },
    })
    expect(await app.db.incident('i9')).not.toBeNull()
  })
  it('is sent under one key until it was answered, and under another one when it is another', async () => {
    const { draft, world } = await drafting({})
    world.isAway = true
    draft.title = 'Down'
    expect(await draft.send()).toBeNull()
    expect(draft.error).toBe('Pager cannot be reached.')
    await draft.send()
    draft.title = 'Up'
    await draft.send()
    const keys = world.asked('POST /incidents').map((asked) => asked.headers.get('Idempotency-Key'))
    expect([keys[0] === keys[1], keys[1] === keys[2]]).toEqual([true, false])
  })
  it('names the field at fault', async () => {
    const { draft, world } = await drafting({ 'POST /incidents': refused(400, 'VALIDATION_ERROR', { field: 'metadata.location', reason: 'is too long' }) })
    expect(await draft.send()).toBeNull()
    expect(draft.errors.title).toBe('It needs a title.')
    Object.assign(draft.rows[0]!, { name: '', value: 'x' })
    await draft.send()
    expect(draft.errors.metadata).toBe('Each needs a name.')
    draft.rows = [{ key: 1, name: 'a', value: '1' }, { key: 2, name: 'a ', value: '2' }]
    await draft.send()
    expect(draft.errors.metadata).toBe('a is there twice.')
    expect(world.asked('POST /incidents')).toEqual([])
    Object.assign(draft, { title: 'Down', rows: [] })
    await draft.send()
    expect([draft.errors.metadata, draft.error]).toEqual(['is too long', null])
    world.answers['POST /incidents'] = refused(403, 'FORBIDDEN', { reason: 'not your team' })
    await draft.send()
    expect([draft.errors, draft.error]).toEqual([{}, 'not your team'])
    for (let row = 0; row < 30; row += 1) draft.addRow()
    expect([draft.rows.length, draft.canAddRow]).toEqual([20, false])
  })
})

describe('the lead to call', () => {
  async function finding(answers: Answers) {
    const all = await signedIn(answers)
    return { ...all, ...(await import('../../src/features/critical/lead')) }
  }
  const member = (userId: string, more: object = {}) => ({ userId, role: 'manager', isActive: true, reachable: true, ...more })
  it('manages the incident’s team', async () => {
    const { findLead } = await finding({
      [`GET /teams/${TEAM}/members`]: ok({ members: [member(ANA), member(SHIFTS, { reachable: false }), member(TEAM, { role: 'member' }), member(BO)] }),
      [`GET /users/${BO}`]: ok({ user: bo }),
    })
    expect(await findLead(incident('i1', { teamId: TEAM }))).toEqual({ id: BO, name: 'Bo Berg', phone: '+4915112345678' })
  })
  it('is somebody who leads where no team has it, and nobody where nobody does', async () => {
    const { findLead, world } = await finding({ 'GET /users': ok({ users: [{ ...ana, roles: ['lead'] }, bo, { ...bo, id: SHIFTS, roles: ['admin'], phone: null }] }) })
    expect(await findLead(incident('i1'))).toMatchObject({ id: SHIFTS, phone: null })
    world.answers['GET /users'] = ok({ users: [bo, { ...bo, id: SHIFTS, roles: ['lead'] }] })
    expect(await findLead(incident('i1'))).toMatchObject({ id: SHIFTS })
    const pages = [ok({ users: [bo], nextCursor: 'c2' }), ok({ users: [{ ...bo, id: SHIFTS, roles: ['lead'] }], nextCursor: 'c3' })]
    world.answers['GET /users'] = () => pages.shift() ?? ok({ users: [] })
    expect(await findLead(incident('i1'))).toMatchObject({ id: SHIFTS })
    expect(pages).toEqual([])
    world.answers['GET /users'] = ok({ users: [bo] })
    expect(await findLead(incident('i1'))).toBeNull()
    world.isAway = true
    expect(await findLead(incident('i1', { teamId: TEAM }))).toBeNull()
  })
  it('is dialled by a number and nothing else', async () => {
    const { dialable } = await finding({})
    expect([dialable('+4915112345678'), dialable('112'), dialable('javascript:x'), dialable('+49,,1'), dialable(null)]).toEqual(['+4915112345678', '112', null, null, null])
  })
})

import { beforeEach, describe, expect, it } from 'vitest'
import { app } from '../../src/core/app.svelte'
import { Draft } from '../../src/features/oncall/override.svelte'
import type { Schedule } from '../../src/features/oncall/plan'
import { mayCover, mayManage } from '../../src/features/oncall/rights'
import { OnCallStore, onCallStore } from '../../src/features/oncall/store.svelte'
import { Doors, page, person, schedule, shift, signIn } from './signed'
import { ok, refused, START, until } from './tools'

const iso = (hours: number) => new Date(START + hours * 3_600_000).toISOString()
const me = person('u1', 'Ana', { roles: ['user'] })

function gateway(): Doors {
  return new Doors()
    .on('GET /on-call', page('onCall', [{ userId: 'u1', userName: 'Ana Test', scheduleId: 's1', scheduleName: 'Schedule s1', startTime: iso(-2), endTime: iso(3) }]))
    .on('GET /on-call/schedules', ({ query }) => (query.get('cursor') === null ? page('schedules', [schedule('s1')], 'more') : page('schedules', [schedule('s2', { layers: [] })])))
    .on('GET /escalation/policies', page('policies', [{ id: 'p1', name: 'P', levels: [{ timeoutMinutes: 5, targets: [{ type: 'user', id: 'u9' }, { type: 'schedule', id: 's1' }] }] }]))
    .on('GET /on-call/schedules/s1/shifts', ok({ shifts: [shift('u1', iso(-2), iso(3)), shift('u1', iso(3), iso(8), true), shift('u2', iso(8), iso(24)), shift('u1', iso(24), iso(48))], inactive: ['u2'] }))
    .on('GET /on-call/schedules/s2/shifts', ok({ shifts: [] }))
    .on('GET /users/u2', ok({ user: person('u2', 'Bo') }))
    .on('GET /users/u9', refused(404, 'NOT_FOUND'))
}

describe('who is on call', () => {
  let doors: Doors
  beforeEach(async () => {
    doors = gateway()
    await signIn(me, doors)
  })

  it('is read to the end of its lists, with my shifts joined', async () => {
    const store = new OnCallStore()
    await store.load()
    expect([store.error, store.at, store.schedules.map((one) => one.id)]).toEqual([null, START, ['s1', 's2']])
    // Until the end of all that follows without a break, not of the turn alone.
    expect(store.mine.map((one) => [one.scheduleId, one.to, one.isOpen])).toEqual([['s1', Date.parse(iso(8)), false]])
    expect(store.myShifts.map((one) => one.from)).toEqual([Date.parse(iso(-2)), Date.parse(iso(24))])
    await until(() => store.nameOf('u2') === 'Bo Test')
    expect([store.nameOf('u1'), store.nameOf('u9')]).toEqual(['Ana Test', null])
    // Schedules that I am not in are not asked about.
    expect(doors.asked.some((one) => one.path.includes('s2/shifts'))).toBe(false)
  })

  it('is shown as it was last seen where there is no network', async () => {
    const first = new OnCallStore()
    await first.load()
    await first.loadWeek(schedule('s1') as unknown as Schedule, '2026-03-02')
    for (const door of ['GET /on-call', 'GET /on-call/schedules', 'GET /escalation/policies']) doors.on(door, 'network')
    const second = new OnCallStore()
    await second.load()
    expect([(second.error as { isOffline: boolean }).isOffline, second.at, second.mine.length, second.week('s1', '2026-03-02')?.shifts.length]).toEqual([true, START, 1, 4])
    expect(second.isLoading).toBe(false)
    // Whoever signs in next sees none of it.
    app.user = person('u5')
    const third = new OnCallStore()
    await third.load()
    expect([third.at, third.onCall]).toEqual([null, []])
  })

  it('goes on without end where nobody else takes turns, and without me where I am deactivated', async () => {
    doors.on('GET /on-call/schedules/s1/shifts', ok({ shifts: [shift('u1', iso(-24), iso(24 * 28))] }))
    const store = new OnCallStore()
    await store.load()
    expect(store.mine[0]?.isOpen).toBe(true)
    doors.on('GET /on-call', page('onCall', [{ userId: 'u1', userName: 'Ana Test', inactive: true, scheduleId: 's1', scheduleName: 'S', startTime: iso(-2), endTime: iso(3) }]))
    await store.load()
    expect(store.mine).toEqual([])
    // Shifts that were not read yet: the turn is what is known.
    store.plans = {}
    store.onCall = [{ userId: 'u1', userName: 'Ana', scheduleId: 'sX', scheduleName: 'X', startTime: iso(-1), endTime: iso(2) }]
    expect(store.mine).toEqual([{ scheduleId: 'sX', scheduleName: 'X', zone: 'UTC', from: Date.parse(iso(-1)), to: Date.parse(iso(2)), isOpen: false }])
    app.user = null
    expect([store.mine, store.myShifts]).toEqual([[], []])
  })

  it('loads weeks of all schedules, one schedule by its id, and is one object per person', async () => {
    const store = onCallStore()
    expect(onCallStore()).toBe(store)
    await store.load()
    await store.loadWeeks()
    expect(Object.keys(store.plans).sort()).toEqual(['s1 2026-03-02', 's1 mine', 's2 2026-03-02'])
    doors.on('GET /on-call/schedules/s1', ok({ schedule: schedule('s1', { name: 'New' }) }))
    doors.on('GET /on-call/schedules/s3', ok({ schedule: schedule('s3') }))
    await store.loadSchedule('s1')
    await store.loadSchedule('s3')
    expect([store.schedule('s1')?.name, store.schedule('s3')?.name, store.schedule('s4')]).toEqual(['New', 'Schedule s3', null])
    app.user = person('u5')
    expect([onCallStore().at, onCallStore().schedules, onCallStore().week('s1', '2026-03-02')]).toEqual([null, [], null])
  })

  it('is looked at lightly while somebody watches, and wholly when it has changed or is old', async () => {
    const { time } = await signIn(me, doors)
    const store = new OnCallStore()
    await store.look()
    const count = (door: string) => doors.sent(door).length
    expect([count('GET /on-call'), count('GET /escalation/policies')]).toEqual([1, 1])
    time.move(60_000)
    await store.look()
    expect([store.at, count('GET /on-call'), count('GET /escalation/policies')]).toEqual([START + 60_000, 2, 1])
    doors.on('GET /on-call', page('onCall', []))
    await store.look()
    expect([count('GET /escalation/policies'), store.onCall]).toEqual([2, []])
    doors.on('GET /on-call', 'network')
    await store.look()
    expect(store.error).not.toBeNull()
    doors.on('GET /on-call', page('onCall', []))
    time.move(11 * 60_000)
    await store.look()
    expect([count('GET /escalation/policies'), store.error]).toEqual([3, null])
  })

  it('reports a mistake of its own, and a full device shows what it has all the same', async () => {
    const store = new OnCallStore()
    app.db.set = () => Promise.reject(new Error('full'))
    await store.load()
    expect([store.error, store.at]).toEqual([null, START])
    doors.on('GET /on-call', ok({ nothing: 1 }))
    await store.load()
    expect(store.error).toBeInstanceOf(TypeError)
  })
})

describe('an override', () => {
  let doors: Doors
  let store: OnCallStore
  const one = schedule('s1', { timezone: 'UTC' }) as unknown as Schedule
  beforeEach(async () => {
    doors = gateway()
    await signIn(me, doors)
    store = new OnCallStore()
  })

  it('begins with me and the next hour, and shows what it changes', async () => {
    const draft = new Draft(store, one)
    expect([draft.userId, draft.from, draft.to, draft.zone]).toEqual(['u1', '2026-03-02T04:00', '2026-03-02T12:00', 'UTC'])
    draft.to = '2026-03-02T13:00'
    await draft.look()
    expect(draft.replaceable).toEqual(['u2'])
    expect(draft.preview?.isSame).toBe(false)
    expect(draft.preview?.before.map((stretch) => stretch.userId)).toEqual(['u1', 'u1', 'u2'])
    expect(draft.preview?.after.map((stretch) => stretch.userId)).toEqual(['u1'])
    draft.replaces = 'u2'
    expect(draft.preview?.after.map((stretch) => stretch.userId)).toEqual(['u1', 'u1'])
    const asked = doors.asked.length
    await draft.look()
    expect(doors.asked.length).toBe(asked)
  })

  it('takes a stretch over from now on, and is empty for who is not in it', () => {
    const draft = new Draft(store, one, { from: START - 3_600_000, to: START + 3_600_000, userId: 'u2' })
    expect([draft.from, draft.to]).toEqual(['2026-03-02T03:12', '2026-03-02T04:12'])
    app.user = person('u7')
    expect(new Draft(store, one).userId).toBe('')
  })

  it('names the field at fault before anything is sent', async () => {
    const draft = new Draft(store, one)
    draft.from = ''
    draft.to = ''
    draft.userId = ''
    expect(await draft.send()).toBeNull()
    expect(['userId', 'startTime', 'endTime'].map((field) => draft.form.at(field) !== null)).toEqual([true, true, true])
    draft.userId = 'u1'
    draft.from = '2026-03-02T12:00'
    draft.to = '2026-03-02T11:00'
    expect(await draft.send()).toBeNull()
    expect(draft.form.at('endTime')).toBe('This has to be after the beginning.')
    await draft.look()
    expect([draft.preview, doors.sent('POST /on-call/schedules/s1/overrides')]).toEqual([null, []])
  })

  it('is made as moments, in somebody’s place only where they have a turn', async () => {
    doors.on('POST /on-call/schedules/s1/overrides', ok({ override: { id: 'o1', userId: 'u1', reachable: true } }))
    const draft = new Draft(store, { ...one, timezone: 'Europe/Berlin' })
    draft.from = '2026-03-02T09:00'
    draft.to = '2026-03-02T17:00'
    draft.replaces = 'u8'
    expect((await draft.send())?.id).toBe('o1')
    expect(doors.sent('POST /on-call/schedules/s1/overrides')).toEqual([{ userId: 'u1', startTime: '2026-03-02T08:00:00.000Z', endTime: '2026-03-02T16:00:00.000Z', replaces: null }])
  })

  it('says what is odd about a clock, and what the gateway refuses', async () => {
    doors.on('POST /on-call/schedules/s1/overrides', refused(403, 'FORBIDDEN', { field: null, reason: 'you are not in it' }))
    const draft = new Draft(store, { ...one, timezone: 'Europe/Berlin' })
    draft.from = '2026-03-29T02:30'
    draft.to = '2026-10-25T02:30'
    expect(draft.odd('start', () => '03:30')).toBe('The clock jumps over this time: 03:30 is meant.')
    expect(draft.odd('end', String)).toBe('The clock reads this twice: the first time is meant.')
    draft.to = '2026-03-29T09:00'
    expect(draft.odd('end', String)).toBeNull()
    expect(await draft.send()).toBeNull()
    expect(draft.form.error).toBe('You may not do this: you are not in it')
    doors.on('GET /on-call/schedules/s1/shifts', 'network')
    await draft.look()
    expect(draft.preview).toBeNull()
  })

  it('is listed with names, and cancelled', async () => {
    doors.on('GET /on-call/schedules/s1/overrides', page('overrides', [{ id: 'o1', userId: 'u2', replaces: 'u1' }], 'next'))
    doors.on('DELETE /on-call/schedules/s1/overrides/o1', ok({ override: {} }))
    expect(await store.overrides('s1')).toMatchObject({ nextCursor: 'next', total: 1 })
    await until(() => store.nameOf('u2') === 'Bo Test')
    await store.cancelOverride('s1', 'o1')
    expect(doors.sent('DELETE /on-call/schedules/s1/overrides/o1')).toEqual([null])
  })
})

describe('what is offered', () => {
  it('follows roles and teams: a lead is no manager of a team by that', async () => {
    const mine = (roles: ('user' | 'lead' | 'admin')[], teams: object[] = [], id = 'u9') => signIn(person(id, 'X', { roles, teams: teams as never }))
    const [open, owned] = [schedule('s1'), schedule('s2', { teamId: 't1' })] as unknown as Schedule[]
    const may = () => [open!, owned!].map((one) => [mayManage(one), mayCover(one)])
    await mine(['user'])
    expect(may()).toEqual([[false, false], [false, false]])
    await mine(['user'], [], 'u1')
    expect(may()).toEqual([[false, true], [false, true]])
    await mine(['lead'], [{ id: 't1', name: 'T', role: 'member' }])
    expect(may()).toEqual([[true, true], [false, false]])
    await mine(['user'], [{ id: 't1', name: 'T', role: 'manager' }])
    expect(may()).toEqual([[false, false], [true, true]])
    await mine(['admin'])
    expect(may()).toEqual([[true, true], [true, true]])
    app.user = null
    expect(may()).toEqual([[false, false], [false, false]])
  })
})

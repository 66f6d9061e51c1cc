import { beforeEach, describe, expect, it, vi } from 'vitest'
import { app } from '../../src/core/app.svelte'
import { Analytics, download, secondsText } from '../../src/features/admin/analytics.svelte'
import { IntegrationEditor, testCommand } from '../../src/features/admin/integration.svelte'
import { findPeople, known } from '../../src/features/admin/known.svelte'
import { EditedLevel, EditedTarget, PolicyEditor } from '../../src/features/admin/policy.svelte'
import { blocks, idsIn } from '../../src/features/admin/prose'
import { EditedItem, ReviewEditor } from '../../src/features/admin/review.svelte'
import { EditedLayer, EditedWindow, raised, ScheduleEditor } from '../../src/features/admin/schedule.svelte'
import { Doors, page, person, schedule, signIn } from './signed'
import { ok, refused, START } from './tools'

let doors: Doors
beforeEach(async () => {
  ;({ doors } = await signIn(person('u1', 'Ana', { roles: ['lead'] })))
})

describe('a schedule that is edited', () => {
  const layer = {
    ...{ rotationType: 'custom', interval: 2, shiftLength: 'PT90S', start: '2026-03-02T09:00:30', end: '2026-09-01T00:00:00', participants: ['u1', 'u2'] },
    restrictions: [{ days: ['mon', 'fri'], from: '08:30', duration: 'P1D' }],
  }
  const open = async () => {
    doors.on('GET /on-call/schedules/s1', ok({ schedule: schedule('s1', { layers: [layer], teamId: 't1', overrides: [{ userId: 'u3', startTime: '2026-03-02T10:00:00Z', endTime: '2026-03-02T12:00:00Z', replaces: null }] }) }, { ETag: '"3-x"' }))
    const edited = new ScheduleEditor('s1')
    await edited.load()
    return edited
  }

  it('stays as it was where nothing was touched, and asks nobody', async () => {
    const edited = await open()
    expect([edited.name, edited.zone, edited.teamId, edited.layers[0]?.hours, edited.layers[0]?.windows[0]?.hours]).toEqual(['Schedule s1', 'Europe/Berlin', 't1', '0.03', '24'])
    expect(edited.layers[0]?.layer()).toEqual(layer)
    expect(edited.changes()).toEqual({})
    expect(await edited.save()).toBe('s1')
    expect(doors.sent('PATCH /on-call/schedules/s1')).toEqual([])
  })

  it('sends what is different, as of the version that was seen', async () => {
    const edited = await open()
    doors.on('PATCH /on-call/schedules/s1', ok({ schedule: schedule('s1', { name: 'Nights', version: 4 }) }, { ETag: '"4-y"' }))
    edited.name = 'Nights'
    edited.description = 'At night'
    edited.timezone = ' UTC '
    edited.isActive = false
    edited.teamId = ''
    edited.layers[0]!.hours = '7,5'
    edited.layers[0]!.end = ''
    edited.layers[0]!.add('u9')
    edited.layers[0]!.raise(2)
    edited.layers[0]!.drop(0)
    expect(await edited.save()).toBe('s1')
    const sent = doors.last('PATCH /on-call/schedules/s1')
    expect(sent.headers.get('If-Match')).toBe('"3-x"')
    expect(sent.body).toEqual({ name: 'Nights', description: 'At night', timezone: 'UTC', isActive: false, teamId: null, layers: [{ ...layer, shiftLength: 'PT7H30M', end: null, participants: ['u9', 'u2'] }] })
    expect([edited.held.version, edited.name, edited.layers.length]).toEqual([{ ifMatch: '"4-y"' }, 'Nights', 1])
  })

  it('says that somebody was faster, and shows what there is when asked', async () => {
    const edited = await open()
    doors.on('PATCH /on-call/schedules/s1', refused(412, 'PRECONDITION_FAILED'))
    edited.name = 'Mine'
    expect(await edited.save()).toBeNull()
    expect([edited.form.isStale, edited.name]).toEqual([true, 'Mine'])
    await edited.load()
    expect([edited.form.isStale, edited.name]).toEqual([false, 'Schedule s1'])
  })

  it('names each field that is empty before anything is sent', async () => {
    const edited = new ScheduleEditor('new')
    edited.addLayer()
    edited.layers[0]!.interval = 'two'
    edited.layers[0]!.start = ''
    edited.layers[0]!.rotationType = 'custom'
    edited.layers[0]!.hours = 'many'
    const window = new EditedWindow()
    window.days = []
    window.hours = '0'
    window.from = ''
    edited.layers[1]!.windows = [window]
    expect(await edited.save()).toBeNull()
    const fields = ['name', 'layers.0.interval', 'layers.0.start', 'layers.0.participants', 'layers.0.shiftLength', 'layers.1.participants', 'layers.1.restrictions.0.duration', 'layers.1.restrictions.0.days', 'layers.1.restrictions.0.from']
    expect(fields.filter((field) => edited.form.at(field) === null)).toEqual([])
    expect(doors.asked).toEqual([])
  })

  it('is made, and shows two weeks as they would be', async () => {
    doors.on('POST /on-call/schedules', ok({ schedule: schedule('s9') }))
    const edited = new ScheduleEditor('new')
    edited.name = 'New'
    edited.timezone = 'UTC'
    edited.layers = [new EditedLayer(null, 'UTC')]
    expect(edited.layers[0]?.start).toBe('2026-03-02T09:00')
    edited.layers[0]!.add('u1')
    expect(edited.preview.length).toBe(14)
    expect(edited.preview[0]?.stretches.map((one) => one.userId)).toEqual([null, 'u1'])
    edited.isActive = false
    expect(edited.preview[1]?.stretches.map((one) => one.userId)).toEqual([null])
    edited.isActive = true
    expect(await edited.save()).toBe('s9')
    expect(doors.sent('POST /on-call/schedules')[0]).toMatchObject({ name: 'New', description: null, teamId: null, layers: [{ rotationType: 'weekly', participants: ['u1'], shiftLength: null }] })
  })

  it('lays the overrides that there are over its preview, and moves layers', async () => {
    const edited = await open()
    expect(edited.people).toEqual(['u1', 'u2', 'u3'])
    expect(edited.preview[0]?.stretches.some((one) => one.userId === 'u3' && one.isOverride)).toBe(true)
    edited.addLayer()
    edited.raiseLayer(1)
    expect(edited.layers[0]?.participants).toEqual([])
    edited.dropLayer(0)
    expect(edited.layers.length).toBe(1)
    expect([raised(['a', 'b'], 0), raised(['a', 'b'], 1), raised(['a'], 5)]).toEqual([['a', 'b'], ['b', 'a'], ['a']])
    doors.on('DELETE /on-call/schedules/s1', ok({}))
    await edited.remove()
    expect(doors.last('DELETE /on-call/schedules/s1').headers.get('If-Match')).toBe('"3-x"')
  })
})

describe('a policy that is edited', () => {
  const level = { timeoutMinutes: 5, timeoutMinutesByPriority: { critical: 1 }, targets: [{ type: 'team', id: 't1', role: 'manager' }, { type: 'role', id: null, role: 'lead' }, { type: 'user', id: 'u2', role: null }] }
  const policy = { id: 'p1', name: 'P', priorityFilter: [], repeat: 3, levels: [level], acknowledgementTimeoutMinutes: null, autoResolveMinutes: 60, isDefault: false, teamId: null, version: 2 }
  const open = async (more = {}) => {
    doors.on('GET /escalation/policies/p1', ok({ policy: { ...policy, ...more } }, { ETag: '"2"' }))
    const edited = new PolicyEditor('p1')
    await edited.load()
    return edited
  }

  it('stays as it was, with what is not edited here', async () => {
    const edited = await open()
    expect(edited.levels[0]?.targets.map((one) => [one.kind, one.id])).toEqual([['manager', 't1'], ['role', 'lead'], ['user', 'u2']])
    expect([edited.people, edited.changes(), edited.levels[0]?.level()]).toEqual([['u2'], {}, level])
    expect(await edited.save()).toBe('p1')
    expect((await open({ priorityFilter: ['critical', 'high', 'medium', 'low'] })).changes()).toEqual({})
  })

  it('sends what is different', async () => {
    const edited = await open()
    doors.on('PATCH /escalation/policies/p1', ok({ policy: { ...policy, name: 'Q' } }, { ETag: '"3"' }))
    edited.name = 'Q'
    edited.repeat = '0'
    edited.acknowledgement = '30,5'
    edited.autoResolve = ''
    edited.teamId = 't2'
    edited.priorities = ['critical']
    edited.addLevel()
    edited.levels[1]!.targets[0]!.id = 's1'
    edited.raiseLevel(1)
    expect(await edited.save()).toBe('p1')
    const sent = doors.last('PATCH /escalation/policies/p1')
    expect(sent.headers.get('If-Match')).toBe('"2"')
    expect(sent.body).toEqual({ name: 'Q', repeat: 0, acknowledgementTimeoutMinutes: 30.5, autoResolveMinutes: null, teamId: 't2', priorityFilter: ['critical'], levels: [{ timeoutMinutes: 5, timeoutMinutesByPriority: {}, targets: [{ type: 'schedule', id: 's1', role: null }] }, level] })
  })

  it('names each field at fault, and is made when there is none', async () => {
    const edited = new PolicyEditor('new')
    await edited.load()
    edited.repeat = 'often'
    edited.acknowledgement = '0'
    edited.autoResolve = 'x'
    edited.priorities = []
    edited.levels[0]!.minutes = ''
    edited.addLevel()
    edited.levels[1]!.targets = []
    expect(await edited.save()).toBeNull()
    const fields = ['name', 'repeat', 'acknowledgementTimeoutMinutes', 'autoResolveMinutes', 'priorityFilter', 'levels.0.timeoutMinutes', 'levels.0.targets.0.id', 'levels.1.targets']
    expect(fields.filter((field) => edited.form.at(field) === null)).toEqual([])
    edited.levels = []
    await edited.save()
    expect(edited.form.at('levels')).not.toBeNull()
    doors.on('POST /escalation/policies', ok({ policy: { ...policy, id: 'p9' } }))
    const made = new PolicyEditor('new')
    made.name = 'New'
    made.levels[0]!.targets[0]!.id = 's1'
    expect(await made.save()).toBe('p9')
    expect(doors.sent('POST /escalation/policies')[0]).toMatchObject({ name: 'New', priorityFilter: [], teamId: null })
    made.dropLevel(0)
    expect(made.levels).toEqual([])
    expect([new EditedTarget().target(), new EditedLevel().level().timeoutMinutes]).toEqual([{ type: 'schedule', id: '', role: null }, 5])
  })

  it('is deleted as of its version', async () => {
    const edited = await open()
    doors.on('DELETE /escalation/policies/p1', refused(409, 'CONFLICT', { usedBy: [{ type: 'integration', id: 'i', name: 'Prometheus' }] }))
    await expect(edited.remove()).rejects.toMatchObject({ status: 409 })
  })
})

describe('an integration', () => {
  const integration = { id: 'i1', version: 1, name: 'Prometheus', type: 'alertmanager', policyId: 'p1', teamId: null, keys: [{ id: 'k1', createdAt: '' }] }

  it('is made, and its key is said once', async () => {
    const edited = new IntegrationEditor('new')
    await edited.load()
    expect(await edited.save()).toBe(false)
    expect(edited.form.at('name')).not.toBeNull()
    doors.on('POST /integrations', ok({ integration: { ...integration, key: 'secret' } }))
    edited.name = 'Prometheus'
    expect(await edited.save()).toBe(true)
    expect([edited.key, edited.madeId]).toEqual(['secret', 'i1'])
    expect(doors.sent('POST /integrations')).toEqual([{ name: 'Prometheus', type: 'generic', policyId: null, teamId: null }])
  })

  it('changes, and has keys that come and go', async () => {
    doors.on('GET /integrations/i1', ok({ integration }, { ETag: '"1"' }))
    doors.on('PATCH /integrations/i1', ok({ integration: { ...integration, name: 'Two' } }, { ETag: '"2"' }))
    doors.on('POST /integrations/i1/keys', ok({ key: { id: 'k2', key: 'new-secret' } }))
    doors.on('DELETE /integrations/i1/keys/k1', ok({}))
    doors.on('DELETE /integrations/i1', ok({}))
    const edited = new IntegrationEditor('i1')
    await edited.load()
    expect(await edited.save()).toBe(true)
    expect(doors.sent('PATCH /integrations/i1')).toEqual([])
    edited.name = 'Two'
    edited.policyId = ''
    edited.teamId = 't1'
    await edited.save()
    expect(doors.sent('PATCH /integrations/i1')).toEqual([{ name: 'Two', policyId: null, teamId: 't1' }])
    await edited.addKey()
    expect(edited.key).toBe('new-secret')
    await edited.revoke('k1')
    await edited.remove()
    expect(doors.last('DELETE /integrations/i1').headers.has('If-Match')).toBe(true)
  })

  it('is shown with a command in which no key is read by a shell', () => {
    expect(testCommand('aB-9_')).toContain("--routing-key 'aB-9_'")
    expect(testCommand("'; rm -rf /")).toContain("--routing-key 'KEY'")
  })
})

describe('numbers of a period', () => {
  it('are asked for the same moments, and one that fails is said alone', async () => {
    doors.on('GET /analytics/summary', ok({ incidents: 3 })).on('GET /analytics/response', ok({ levels: [] }))
    doors.on('GET /analytics/load', refused(403, 'FORBIDDEN')).on('GET /analytics/noise', ok({ keys: [] }))
    const numbers = new Analytics()
    numbers.teamId = 't1'
    await numbers.ask()
    expect([numbers.summary?.incidents, numbers.load, Object.keys(numbers.errors), numbers.isLoading]).toEqual([3, null, ['load'], false])
    const from = new Set(doors.asked.map((one) => `${one.query.get('from')} ${one.query.get('to')} ${one.query.get('teamId')}`))
    expect([...from]).toEqual([`${new Date(START - 30 * 86_400_000).toISOString()} ${new Date(START).toISOString()} t1`])
  })

  it('of an older question do not come late', async () => {
    for (const kind of ['summary', 'response', 'load', 'noise']) doors.on(`GET /analytics/${kind}`, ({ query }) => (query.get('teamId') === null ? 'network' : ok({ teamId: query.get('teamId') })))
    const numbers = new Analytics()
    const first = numbers.ask()
    numbers.teamId = 't2'
    await Promise.all([first, numbers.ask()])
    expect([numbers.summary?.teamId, numbers.errors]).toEqual(['t2', {}])
  })

  it('are handed over as CSV', async () => {
    doors.on('GET /analytics/noise', ({ query, headers }) => ({ body: `${query.get('format')} ${headers.get('Authorization')}` }))
    const numbers = new Analytics()
    expect(await (await numbers.csv('noise', doors.fetch)).text()).toBe('csv Bearer a-token')
    doors.on('GET /analytics/noise', refused(403, 'FORBIDDEN'))
    await expect(numbers.csv('noise', doors.fetch)).rejects.toMatchObject({ code: 'FORBIDDEN' })
    doors.on('GET /analytics/noise', { status: 502, body: '<html>' })
    await expect(numbers.csv('noise', doors.fetch)).rejects.toMatchObject({ code: 'BAD_ANSWER' })
    URL.createObjectURL = vi.fn(() => 'blob:x')
    URL.revokeObjectURL = vi.fn()
    const clicked = vi.spyOn(HTMLAnchorElement.prototype, 'click').mockImplementation(() => {})
    vi.useFakeTimers()
    download(new Blob(['x']), 'x.csv')
    vi.advanceTimersByTime(60_000)
    vi.useRealTimers()
    expect([clicked.mock.calls.length, vi.mocked(URL.revokeObjectURL).mock.calls]).toEqual([1, [['blob:x']]])
  })

  it('are said as lengths of time', () => {
    expect([null, undefined, 0.02, 1.25, 42.4, 60, 125, 3_600, 11_400].map(secondsText)).toEqual(['–', '–', '< 1 s', '1.3 s', '42 s', '1 min', '2 min 5 s', '1 h', '3 h 10 min'])
  })
})

describe('a review', () => {
  const item = { id: 'a1', text: 'Fix it', ownerId: 'u2', dueAt: '2026-03-09T12:00:00Z', done: false }
  const review = { id: 'r1', incidentId: 'n1', version: 1, text: '# What', actionItems: [item], published: false, updatedAt: '' }

  it('is begun where there is none', async () => {
    const edited = new ReviewEditor('n1')
    await edited.load()
    expect(edited.held.isGone).toBe(true)
    expect(await edited.save()).toBe(false)
    doors.on('POST /incidents/n1/review', ok({ review }, { ETag: '"1"' }))
    expect(await edited.begin()).toBe(true)
    expect([edited.held.isGone, edited.text, edited.items.length, edited.isChanged]).toEqual([false, '# What', 1, false])
  })

  it('is changed and published, as of its version', async () => {
    doors.on('GET /incidents/n1/review', ok({ review }, { ETag: '"1"' }))
    doors.on('PATCH /incidents/n1/review', ok({ review: { ...review, published: true } }, { ETag: '"2"' }))
    const edited = new ReviewEditor('n1')
    expect(edited.isChanged).toBe(false)
    await edited.load()
    expect(await edited.save()).toBe(true)
    expect(doors.sent('PATCH /incidents/n1/review')).toEqual([])
    expect(await edited.save(true)).toBe(true)
    expect(doors.sent('PATCH /incidents/n1/review')).toEqual([{ published: true }])
    edited.text = ''
    edited.add()
    expect(await edited.save()).toBe(false)
    expect([edited.form.at('text') !== null, edited.form.at('actionItems.1.text') !== null]).toEqual([true, true])
    edited.text = 'New'
    edited.items[1]!.text = 'More'
    edited.items[1]!.due = '2026-03-20'
    edited.raise(1)
    await edited.save()
    expect(doors.sent('PATCH /incidents/n1/review')[1]).toEqual({ text: 'New', actionItems: [{ text: 'More', ownerId: null, dueAt: '2026-03-20T00:00:00Z', done: false }, item] })
    edited.drop(0)
    expect(edited.items.length).toBe(0)
    doors.on('DELETE /incidents/n1/review', ok({}))
    await edited.remove()
    expect(doors.last('DELETE /incidents/n1/review').headers.get('If-Match')).toBe('"2"')
    const owned = new EditedItem(item as never)
    owned.due = ''
    expect(owned.item().dueAt).toBeNull()
  })

  it('is read as headings, points and paragraphs, with names, and never as markup', () => {
    const id = '88e071cd-98be-5ff8-8df8-b12d5d50f05e'
    const text = `# Review\n\nIt was <b>bad</b>\nand long.\n\n- By ${id}.\n2. Two\nAfter`
    expect(idsIn(text)).toEqual([id])
    expect(blocks(text, () => 'Ana')).toEqual([
      { kind: 'heading', text: 'Review' },
      { kind: 'text', text: 'It was <b>bad</b> and long.' },
      { kind: 'item', text: 'By Ana.' },
      { kind: 'item', text: 'Two' },
      { kind: 'text', text: 'After' },
    ])
    expect(blocks(id, () => null)[0]?.text).toBe(id)
    expect(blocks('incident \\#1\n\n_To be written._\n\n_a_ and snake_case', () => null).map((block) => block.text)).toEqual(['incident #1', 'To be written.', '_a_ and snake_case'])
  })
})

describe('names', () => {
  it('are asked for once, and those of whoever is gone are none', async () => {
    app.user = person('x1')
    doors.on('GET /users/u2', ok({ user: person('u2', 'Bo') }))
    await known.ask(['u2', 'u2', 'u3', 'x1'])
    await known.ask(['u2', 'u3'])
    expect([known.person('u2'), known.person('u3'), known.person('x1')]).toEqual(['Bo Test', null, 'x1 Test'])
    expect(doors.asked.length).toBe(2)
  })

  it('of things are read to the end, and a refusal leaves the others', async () => {
    app.user = person('x2')
    doors.on('GET /teams', ({ query }) => (query.get('cursor') === null ? page('teams', [{ id: 't1', name: 'One' }], 'c') : page('teams', [{ id: 't2', name: 'Two' }])))
    doors.on('GET /on-call/schedules', page('schedules', [{ id: 's1', name: 'S' }])).on('GET /escalation/policies', page('policies', [{ id: 'p1', name: 'P' }]))
    doors.on('GET /integrations', refused(403, 'FORBIDDEN'))
    await known.load('teams', 'schedules', 'policies', 'integrations')
    expect([known.teams.length, known.label('schedules', 's1'), known.label('policies', 'p1'), known.label('integrations', 'i1')]).toEqual([2, 'S', 'P', null])
    doors.on('GET /users', page('users', [person('u4', 'Cy')]))
    await findPeople(' Cy ')
    expect([doors.last('GET /users').query.get('q'), known.person('u4')]).toEqual(['Cy', 'Cy Test'])
    app.user = person('x3')
    await known.load()
    expect([known.teams, known.person('u4')]).toEqual([[], null])
  })
})

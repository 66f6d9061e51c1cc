import { describe, expect, it } from 'vitest'
import type { Incident } from '../../src/core/api'
import type { Entry } from '../../src/core/outbox'
import { clockText, secondsLeft, toSay } from '../../src/features/incidents/countdown'
import { EVERYTHING_OPEN, matches, questions } from '../../src/features/incidents/filter'
import { allowed, canUndo, firstOf, grouped, groupOf, isAnsweredHere, placeOf, stateOf } from '../../src/features/incidents/states'
import { why, type Explained } from '../../src/features/incidents/why'
import { lasts, phaseOf, type Known } from '../../src/features/critical/phase'
import { ANA, BO, SHIFTS, TEAM } from './incidents-tools'
import { incident, START } from './tools'

const at = (milliseconds: number) => new Date(START + milliseconds).toISOString()
const entry = (more: Partial<Entry> = {}) =>
  ({ id: 'e', incidentId: 'i', action: 'acknowledge', state: 'queued', attempts: 0, notBefore: 0, occurredAt: at(0), refusal: null, ...more }) as Entry

describe('the state of an incident', () => {
  it('is the status, or that it is to be quiet', () => {
    expect(stateOf(incident('i'), START)).toBe('created')
    expect(stateOf(incident('i', { snoozedUntil: at(1) }), START)).toBe('snoozed')
    expect(stateOf(incident('i', { snoozedUntil: at(-1) }), START)).toBe('created')
    expect(stateOf(incident('i', { suppression: { by: 'u', until: at(1) } }), START)).toBe('suppressed')
    expect(stateOf(incident('i', { suppression: { by: 'u' } }), START)).toBe('suppressed')
    expect(stateOf(incident('i', { suppression: { by: 'u', until: at(0) } }), START)).toBe('created')
    expect(stateOf(incident('i', { status: 'closed', snoozedUntil: at(1) }), START)).toBe('closed')
  })

  // docs/decision-tables.md: what is no 409 there, and changes something.
  it.each<[Partial<Incident>, string[]]>([
    [{ status: 'created' }, ['acknowledge', 'resolve', 'snooze', 'reassign', 'responders', 'escalate', 'suppress', 'notes', 'edit']],
    [{ status: 'escalated' }, ['acknowledge', 'resolve', 'snooze', 'reassign', 'responders', 'escalate', 'suppress', 'notes', 'edit']],
    [{ snoozedUntil: at(1) }, ['acknowledge', 'resolve', 'snooze', 'reassign', 'responders', 'escalate', 'notes', 'edit']],
    [{ suppression: { by: 'u' } }, ['acknowledge', 'resolve', 'snooze', 'reassign', 'responders', 'escalate', 'notes', 'edit']],
    [{ status: 'resolved' }, ['close', 'reopen', 'notes', 'edit']],
    [{ status: 'closed' }, ['reopen', 'notes', 'edit']],
  ])('allows what %j allows', (more, actions) => {
    expect(allowed(incident('i', more), START, ANA)).toEqual(actions)
  })

  it('of a newer gateway is open, and nothing is kept from anybody', () => {
    const newer = incident('i1', { status: 'paused' as never, priority: 'urgent' as never })
    expect(groupOf(newer, START)).toBe('burning')
    expect(allowed(newer, START, 'u1')).toEqual(expect.arrayContaining(['acknowledge', 'resolve', 'notes']))
    expect(grouped([incident('i2'), newer], START)[0]?.incidents.map(({ id }) => id)).toEqual(['i1', 'i2'])
  })

  it('is drawn with the first ones first, and counted whole', () => {
    const groups = grouped([incident('i1'), incident('i2'), incident('i3', { status: 'resolved' })], START)
    const ids = (most: number) => firstOf(groups, most).map(({ incidents, count }) => [incidents.map(({ id }) => id), count])
    expect(ids(1)).toEqual([[['i1'], 2]])
    expect(ids(2)).toEqual([[['i1', 'i2'], 2]])
    expect(ids(Infinity)).toEqual([[['i1', 'i2'], 2], [['i3'], 1]])
  })

  it('lets a colleague acknowledge as well, and nobody twice', () => {
    const taken = incident('i', { status: 'acknowledged', run: 2, acknowledgements: [{ userId: ANA, at: at(0), run: 2 }] })
    expect(allowed(taken, START, ANA)).not.toContain('acknowledge')
    expect(allowed(taken, START, BO)).toContain('acknowledge')
    expect(allowed({ ...taken, run: 3 }, START, ANA)).toContain('acknowledge')
    expect(allowed(taken, START, null)).not.toContain('acknowledge')
  })

  it('sorts what burns first: the worst, the escalated, the oldest', () => {
    const ids = (more: Partial<Incident>[]) =>
      grouped(more.map((one, index) => incident(String(index), one)), START).map(({ group, incidents }) => [group, incidents.map(({ id }) => id)])
    expect(
      ids([
        { status: 'resolved' },
        { status: 'acknowledged', priority: 'critical' },
        { priority: 'low', createdAt: at(-9e6) },
        { priority: 'critical', createdAt: at(-1) },
        { priority: 'critical', createdAt: at(-2) },
        { priority: 'critical', status: 'escalated' },
        { snoozedUntil: at(1) },
        { status: 'closed', updatedAt: at(1) },
        { status: 'acknowledged', priority: 'critical', createdAt: at(5) },
        { snoozedUntil: at(1), createdAt: at(5) },
      ]),
    ).toEqual([
      ['burning', ['5', '4', '3', '2']],
      ['taken', ['8', '1']],
      ['quiet', ['9', '6']],
      ['over', ['7', '0']],
    ])
  })

  it('knows what was answered here, what can be undone, and where it is', () => {
    expect(isAnsweredHere([entry()], 'i')).toBe(true)
    expect(isAnsweredHere([entry({ state: 'refused' })], 'i')).toBe(false)
    expect(isAnsweredHere([entry({ action: 'notes' })], 'i')).toBe(false)
    expect(isAnsweredHere([entry()], 'j')).toBe(false)
    expect([canUndo(entry({ notBefore: 5 }), 4), canUndo(entry({ notBefore: 5 }), 5), canUndo(entry({ notBefore: 5, attempts: 1 }), 4)]).toEqual([true, false, false])
    expect(placeOf(incident('i', { metadata: { location: ' Rack 1 ' } }))).toBe('Rack 1')
    expect(placeOf(incident('i', { metadata: { location: 7 } }))).toBeNull()
    expect(placeOf(incident('i', { metadata: { location: ' ' } }))).toBeNull()
  })
})

describe('a filter', () => {
  it('is asked as several lists, each with one status', () => {
    expect(questions({ ...EVERYTHING_OPEN }).map(({ status }) => status)).toEqual(['escalated', 'created', 'acknowledged'])
    expect(questions({ ...EVERYTHING_OPEN, view: 'unanswered' })).toHaveLength(2)
    expect(questions({ view: 'acknowledged', priority: 'high', mine: true, teamId: TEAM, q: ' disk ' })).toEqual([
      { status: 'acknowledged', priority: 'high', assignedTo: 'me', teamId: TEAM, q: 'disk', sort: 'priority' },
    ])
    expect(questions({ ...EVERYTHING_OPEN, view: 'closed' })).toEqual([{ status: 'closed', sort: '-updatedAt' }])
    expect(questions({ ...EVERYTHING_OPEN, view: 'all' })).toEqual([{ sort: '-createdAt' }])
  })

  it('decides the same here', () => {
    const one = incident('i', { title: 'Disk is FULL', description: 'on db-1', number: 7, assignedTo: ANA, teamId: TEAM, status: 'acknowledged' })
    const fits = (change: object) => matches(one, { ...EVERYTHING_OPEN, ...change }, ANA)
    expect([fits({}), fits({ view: 'unanswered' }), fits({ view: 'all' }), fits({ view: 'resolved' })]).toEqual([true, false, true, false])
    expect([fits({ priority: 'low' }), fits({ mine: true }), fits({ teamId: BO })]).toEqual([false, true, false])
    expect(matches(one, { ...EVERYTHING_OPEN, mine: true }, null)).toBe(false)
    expect([fits({ q: 'full disk' }), fits({ q: '"db-1" -test' }), fits({ q: '#7' }), fits({ q: 'memory' })]).toEqual([true, true, true, false])
  })
})

describe('a countdown', () => {
  it('counts by the corrected clock, and never below nothing', () => {
    const one = incident('i', { escalation: { level: 1, nextAt: at(90_000) } })
    expect([secondsLeft(one, START), secondsLeft(one, START + 91_000)]).toEqual([90, 0])
    expect(secondsLeft({ ...one, status: 'acknowledged' }, START)).toBeNull()
    expect(secondsLeft(incident('i', { escalation: { level: 1, nextAt: null } }), START)).toBeNull()
    expect(secondsLeft(incident('i', { escalation: { level: 1, nextAt: 'soon' } }), START)).toBeNull()
    expect([clockText(0), clockText(899), clockText(3_899)]).toEqual(['00:00', '14:59', '1:04:59'])
  })
  it('is said aloud at few moments', () => {
    expect([toSay(61, 60), toSay(60, 59), toSay(125, 118), toSay(null, 60), toSay(5, null), toSay(10, 20), toSay(1, 0)]).toEqual([60, null, 120, null, null, null, 0])
  })
})

describe('why somebody was paged', () => {
  const person = (reason: string, outcome: Explained['outcome'] = 'paged') => ({ userId: ANA, outcome, reason, chain: [] }) as unknown as Explained
  const nameOf = (id: string) => ({ [SHIFTS]: 'Primary', [TEAM]: 'Checkout' })[id] ?? null
  const said = (reason: string, outcome?: Explained['outcome']) => why(person(reason, outcome), nameOf, (text) => text).slice(1)
  it('is said in words', () => {
    expect(said(`apns accepted the push (attempt 1); on level 1 through schedule:${SHIFTS}`)).toEqual([
      'You are on call on Primary.',
      'That is level 1 of the policy, which was due.',
    ])
    expect(said(`level 2 (team:${TEAM}:manager) has not fired yet`, 'not_paged')).toEqual(['You manage Checkout.', 'That is level 2 of the policy, and it is not due yet.'])
    expect(said(`x; on level 3 through team:${BO}`)[0]).toBe('You are in a team.')
    expect(said(`x; on level 3 through role:lead`)[0]).toBe('You have the role lead.')
    expect(said(`x; on level 3 through user:${ANA}`)[0]).toBe('The policy names you.')
    expect(said(`x; on level 3 through schedule:${BO}`)[0]).toBe('You are on call on a schedule.')
    expect(said('no escalation has started', 'not_paged')).toEqual(['No escalation has started.'])
    expect(said('gone!', 'suppressed')).toEqual(['Gone!'])
  })
})

describe('the red screen', () => {
  const known = (more: Partial<Known> = {}): Known => ({
    ...{ incident: incident('i'), isGone: false, entry: null, userId: ANA, isOnline: true, deviceNow: START, now: START },
    ...more,
  })
  it.each<[string, Partial<Known>]>([
    ['burning', {}],
    ['loading', { incident: null }],
    ['gone', { isGone: true }],
    ['over', { incident: incident('i', { status: 'resolved' }), entry: entry() }],
    ['taken', { incident: incident('i', { status: 'acknowledged', acknowledgedBy: BO }) }],
    ['mine', { incident: incident('i', { status: 'acknowledged', acknowledgedBy: ANA }) }],
    ['mine', { incident: incident('i', { status: 'acknowledged', acknowledgedBy: BO, acknowledgements: [{ userId: ANA, at: at(0) }] }) }],
    ['mine', { entry: entry({ state: 'accepted' }) }],
    ['sending', { entry: entry(), deviceNow: START + 2_000 }],
    ['queued', { entry: entry(), deviceNow: START + 3_000 }],
    ['queued', { entry: entry(), isOnline: false }],
    ['queued', { entry: entry(), isOnline: false, incident: null }],
    ['refused', { entry: entry({ state: 'refused' }) }],
    ['taken', { entry: entry({ state: 'refused' }), incident: incident('i', { status: 'acknowledged', acknowledgedBy: BO }) }],
    ['quiet', { incident: incident('i', { snoozedUntil: at(1) }) }],
  ])('is %s', (phase, more) => {
    expect(phaseOf(known(more))).toBe(phase)
  })
  it('closes by itself where nothing is left to do, and never while something is', () => {
    expect((['mine', 'over', 'taken', 'gone', 'quiet'] as const).every((phase) => lasts(phase) !== null)).toBe(true)
    expect((['burning', 'queued', 'sending', 'refused', 'loading'] as const).map(lasts)).toEqual([null, null, null, null, null])
  })
})

import { describe, expect, it } from 'vitest'
import { days, initials, isIn, peopleOf, shiftsOf, stretches, withOverride, type Schedule } from '../../src/features/oncall/plan'
import { bothText, dayPlan, gapsText, lengthText, whoText, withinDay } from '../../src/features/oncall/said'
import * as zones from '../../src/features/oncall/zones'
import { schedule, shift } from './signed'

const at = (text: string) => Date.parse(text)
const HOUR = 3_600_000

describe('wall clocks of zones', () => {
  it('know the moment of a wall clock, also where the clock jumps', () => {
    expect(zones.instantOf('2026-01-05T09:00', 'Europe/Berlin')).toEqual({ at: at('2026-01-05T08:00Z'), isSkipped: false, isTwice: false })
    // In between there is nothing: the moment with the offset before it, as RFC 5545 says.
    expect(zones.instantOf('2026-03-29T02:30', 'Europe/Berlin')).toEqual({ at: at('2026-03-29T01:30Z'), isSkipped: true, isTwice: false })
    expect(zones.instantOf('2026-10-25T02:30', 'Europe/Berlin')).toEqual({ at: at('2026-10-25T00:30Z'), isSkipped: false, isTwice: true })
    expect(zones.instantOf('2026-02-30T09:00', 'UTC')).toBeNull()
    expect(zones.instantOf('tomorrow', 'UTC')).toBeNull()
    expect(zones.instantOf('2026-06-01T12:00', 'Asia/Kolkata')!.at).toBe(at('2026-06-01T06:30Z'))
  })

  it('begin days where there is no midnight, and count their hours', () => {
    expect(zones.startOf('2026-04-24', 'Africa/Cairo')).toBe(at('2026-04-23T22:00Z'))
    const length = (day: string, zone: string) => (zones.startOf(zones.addDays(day, 1), zone) - zones.startOf(day, zone)) / HOUR
    expect([length('2026-03-29', 'Europe/Berlin'), length('2026-10-25', 'Europe/Berlin'), length('2026-06-01', 'Europe/Berlin')]).toEqual([23, 25, 24])
    expect(length('2026-04-05', 'Australia/Lord_Howe')).toBe(24.5)
  })

  it('know days and weeks', () => {
    expect(['2026-03-02', '2026-03-08', '2026-03-09'].map(zones.mondayOf)).toEqual(['2026-03-02', '2026-03-02', '2026-03-09'])
    expect(zones.addDays('2026-12-31', 1)).toBe('2027-01-01')
    expect(zones.dayOf(at('2026-03-01T23:30Z'), 'Asia/Tokyo')).toBe('2026-03-02')
    expect(['2026-02-28', '2026-02-29', '1999-01-01', 'x', null].map(zones.isDay)).toEqual([true, false, false, false, false])
  })

  it('are said in words', () => {
    const [from, to] = [at('2026-03-02T08:00Z'), at('2026-03-02T16:00Z')]
    expect(zones.rangeText(from, to, 'Europe/Berlin', 'en')).toBe('Mon, Mar 2, 09:00 – 17:00')
    expect(zones.rangeText(from, to, 'Asia/Tokyo', 'en')).toBe('Mon, Mar 2, 17:00 – Tue, Mar 3, 01:00')
    expect(zones.momentText(from, 'UTC', 'en', to)).toBe('08:00')
    expect(zones.zoneText('America/New_York', from, 'en')).toBe('America/New York (GMT-5)')
    expect(zones.zoneText('UTC', from, 'en')).toBe('UTC')
    expect(zones.isSameClock('Europe/Berlin', 'Europe/Madrid', from, to)).toBe(true)
    expect(zones.isSameClock('Europe/Berlin', 'Europe/London', from)).toBe(false)
    expect(zones.knownZone('Mars/Phobos')).toBe('UTC')
    expect(zones.allZones()).toContain('Europe/Berlin')
    expect(bothText(from, 'UTC', 'Asia/Tokyo', false, to)).toBe('08:00 (Mon, Mar 2, 17:00 in Asia/Tokyo)')
    expect(bothText(from, 'UTC', 'UTC', true, to)).toBe('08:00')
    expect(zones.ownZone()).toBeTruthy()
    expect(zones.dayText('2026-03-02', 'en', 'long')).toBe('Monday, March 2')
    expect(zones.weekdayText('2026-03-02', 'de')).toBe('Mo')
  })
})

describe('a plan', () => {
  const day = '2026-03-02T'
  const shifts = [shift('u1', `${day}00:00Z`, `${day}09:00Z`), shift('u2', `${day}10:00Z`, `${day}18:00Z`, true), shift('u2', `${day}18:00Z`, `${day}20:00Z`)]

  it('has no holes: what nobody has is nobody’s', () => {
    const all = stretches(shifts, at(`${day}00:00Z`), at('2026-03-03T00:00Z'))
    expect(all.map((one) => [one.userId, (one.to - one.from) / HOUR, one.isOverride])).toEqual([
      ['u1', 9, false],
      [null, 1, false],
      ['u2', 8, true],
      ['u2', 2, false],
      [null, 4, false],
    ])
  })

  it('joins what goes on, cuts what reaches out, and takes overlaps as they come', () => {
    const some = [shift('u1', '2026-03-01T12:00Z', `${day}06:00Z`), shift('u1', `${day}06:00Z`, `${day}08:00Z`), shift('u2', `${day}07:00Z`, `${day}09:00Z`), shift('u3', `${day}07:00Z`, `${day}07:30Z`), shift('u4', `${day}05:00Z`, `${day}05:00Z`)]
    const all = stretches(some, at(`${day}00:00Z`), at(`${day}09:00Z`))
    expect(all.map((one) => [one.userId, new Date(one.from).getUTCHours(), new Date(one.to).getUTCHours()])).toEqual([
      ['u1', 0, 8],
      ['u2', 8, 9],
    ])
  })

  it('is a week of days with 23 hours as well', () => {
    const week = days([shift('u1', '2026-03-20T00:00Z', '2026-04-20T00:00Z')], '2026-03-23', 7, 'Europe/Berlin')
    expect(week.map((one) => (one.to - one.from) / HOUR)).toEqual([24, 24, 24, 24, 24, 24, 23])
    expect(week.every((one) => one.stretches.length === 1)).toBe(true)
    expect(gapsText(week)).toBe('Somebody is always on call.')
  })

  it('says holes by number and length, and a hole over midnight is one', () => {
    const week = days([shift('u1', '2026-03-02T00:00Z', '2026-03-03T20:00Z'), shift('u1', '2026-03-04T02:30Z', '2026-03-09T00:00Z')], '2026-03-02', 7, 'UTC')
    expect(gapsText(week)).toBe('1 gap: 6 h 30 min without anybody')
    expect(gapsText(days([], '2026-03-02', 1, 'UTC'))).toBe('1 gap: 24 h without anybody')
    expect([lengthText(0), lengthText(30 * 60_000)]).toEqual(['0 min', '30 min'])
    const name = (id: string) => (id === 'u1' ? 'Ana' : null)
    expect(dayPlan(week[1]!, 'UTC', name)).toBe('00:00 – 20:00 Ana, 20:00 – 24:00 Nobody')
    expect(whoText({ ...week[0]!.stretches[0]!, userId: 'u9', isOverride: true }, name)).toBe('… (override)')
    expect(withinDay(week[0]!.stretches[0]!, week[0]!, 'UTC')).toBe('00:00 – 24:00')
  })

  it('is somebody’s from now on, joined', () => {
    expect(shiftsOf('u2', shifts, at(`${day}09:00Z`))).toEqual([{ from: at(`${day}10:00Z`), to: at(`${day}20:00Z`) }])
    expect(shiftsOf('u1', shifts, at(`${day}09:00Z`))).toEqual([])
  })

  it('changes by an override: over all of it, or in somebody’s place', () => {
    const [from, to] = [at(`${day}08:00Z`), at(`${day}19:00Z`)]
    const who = (made: ReturnType<typeof withOverride>) => stretches(made, at(`${day}00:00Z`), at(`${day}20:00Z`)).map((one) => [one.userId, new Date(one.from).getUTCHours()])
    expect(who(withOverride(shifts, { userId: 'u3', from, to, replaces: null }))).toEqual([['u1', 0], ['u3', 8], ['u2', 19]])
    expect(who(withOverride(shifts, { userId: 'u3', from, to, replaces: 'u1' }))).toEqual([['u1', 0], ['u3', 8], [null, 9], ['u2', 10], ['u2', 18]])
    expect(withOverride(shifts, { userId: 'u3', from: to, to: from, replaces: null })).toEqual(shifts)
  })

  it('knows who is in it', () => {
    const one = schedule('s1', { overrides: [{ userId: 'u7' }] }) as unknown as Schedule
    expect([isIn(one, 'u1'), isIn(one, 'u7'), isIn(one, 'u9')]).toEqual([true, true, false])
    expect(peopleOf(one, [shift('u8', day, day)])).toEqual(['u1', 'u2', 'u7', 'u8'])
    expect(['Ana Ruiz', 'Ana', '', '🚒 von Zed', 'Ana Maria Ruiz'].map(initials)).toEqual(['AR', 'A', '?', '🚒Z', 'AR'])
  })
})

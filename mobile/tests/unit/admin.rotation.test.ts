import { describe, expect, it } from 'vitest'
import { duration, durationText, period, planned, type Layer } from '../../src/features/admin/rotation'
import given from './rotations.json'
import { stretches } from '../../src/features/oncall/plan'

interface Case {
  name: string
  zone: string
  from: string
  to: string
  layers: Layer[]
  shifts: [user: string, start: string, end: string, layer: number][]
}
// What `services/oncall/rotation.py` and `calendar.py` answer for the same layers.
const cases = given as unknown as Case[]

describe('turns before they are saved', () => {
  it.each(cases.map((one) => [one.name, one] as const))('are those of the on-call service: %s', (_name, one) => {
    const [from, to] = [Date.parse(one.from), Date.parse(one.to)]
    const shown = (all: ReturnType<typeof stretches>) => all.map((part) => [part.userId?.at(-1) ?? null, new Date(part.from).toISOString(), new Date(part.to).toISOString()])
    const theirs = one.shifts.map(([user, startTime, endTime, layer]) => ({ userId: user, startTime, endTime, layer, isOverride: false }))
    expect(one.shifts.length).toBeGreaterThan(0)
    expect(shown(stretches(planned(one.layers, one.zone, from, to), from, to))).toEqual(shown(stretches(theirs, from, to)))
  })

  it('are none where a layer is not whole yet', () => {
    const layer = { rotationType: 'daily', interval: 1, start: '2026-03-02T09:00', participants: ['u1'] } as Layer
    const make = (change: object) => planned([{ ...layer, ...change }], 'UTC', Date.parse('2026-03-02T00:00Z'), Date.parse('2026-03-09T00:00Z')).length
    expect(make({})).toBe(7)
    expect([make({ participants: [] }), make({ start: '' }), make({ interval: Number.NaN }), make({ interval: 0 }), make({ rotationType: 'custom', shiftLength: 'PT1M' }), make({ rotationType: 'custom' })]).toEqual([0, 0, 0, 0, 0, 0])
    expect(make({ restrictions: [{ days: ['mon'], from: '', duration: 'PT8H' }, { days: ['mon'], from: '09:00', duration: 'x' }] })).toBe(0)
    expect(make({ start: '2030-01-01T00:00' })).toBe(0)
  })

  it('read and write durations', () => {
    expect(['PT12H', 'P1DT30M', 'P1W', 'PT', 'P', 'x', 'PT0H'].map(duration)).toEqual([43_200_000, 88_200_000, 604_800_000, null, null, null, null])
    expect([43_200_000, 5_400_000, 1_800_000].map(durationText)).toEqual(['PT12H', 'PT1H30M', 'PT30M'])
    expect(period({ rotationType: 'hourly', interval: 6 } as Layer)).toBe(21_600_000)
  })
})

import { describe, expect, it } from 'vitest'
import { backoff } from '../../src/core/backoff'
import { MovedClock, START } from './tools'

describe('the clock', () => {
  it('follows the gateway where the phone is wrong', () => {
    const moved = new MovedClock()
    const said = new Date(START + 3_600_000).toUTCString()
    moved.clock.correct(said, START)
    expect(moved.clock.now()).toBe(START + 3_600_000)
    expect(moved.clock.seconds()).toBe((START + 3_600_000) / 1000)
    expect(moved.clock.deviceTime()).toBe(new Date(START).toISOString())
  })

  it('takes half of the way off, and ignores what a slow line explains', () => {
    const moved = new MovedClock()
    moved.move(2_000)
    moved.clock.correct(new Date(START + 10_000).toISOString(), START)
    expect(moved.clock.offset).toBe(9_000)
    moved.clock.correct(new Date(moved.at).toUTCString(), moved.at)
    expect(moved.clock.offset).toBe(0)
  })

  it.each([
    ['nothing', null, START],
    ['no date', 'yesterday', START],
    ['a date before all', 'Thu, 01 Jan 1970 00:00:00 GMT', START],
    ['a date after all', '9999-01-01T00:00:00Z', START],
    ['an answer that took too long', new Date(START + 3_600_000).toISOString(), START - 60_000],
    ['an answer before its question', new Date(START + 3_600_000).toISOString(), START + 60_000],
  ])('believes no %s', (_what, said, askedAt) => {
    const { clock } = new MovedClock()
    clock.correct(said, askedAt)
    expect(clock.offset).toBe(0)
  })
})

describe('backing off', () => {
  it('doubles up to a bound, and spreads over half of it', () => {
    expect(backoff(0, 1_000, 60_000, () => 0)).toBe(500)
    expect(backoff(0, 1_000, 60_000, () => 1)).toBe(1_000)
    expect(backoff(3, 1_000, 60_000, () => 1)).toBe(8_000)
    expect(backoff(5_000, 1_000, 60_000, () => 1)).toBe(60_000)
    expect(backoff(-1, 1_000, 60_000, () => 1)).toBe(1_000)
  })
})

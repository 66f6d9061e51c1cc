/** Waiting longer each time, and not all at once. */

/** Milliseconds before try number `attempt` (0 is the first repetition): between half and all of a doubling time. */
export function backoff(attempt: number, first = 1_000, longest = 60_000, random: () => number = Math.random): number {
  const whole = Math.min(first * 2 ** Math.min(Math.max(attempt, 0), 20), longest)
  return whole / 2 + (random() * whole) / 2
}

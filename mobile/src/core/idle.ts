/** A browser that never rests does it all the same. */
const AT_LATEST = 3_000
/** Where the browser does not tell that it rests (Safari). */
const A_WHILE = 500

/** What nobody waits for, when the first screen is there. */
export function whenIdle(work: () => void): void {
  if (typeof requestIdleCallback === 'function') requestIdleCallback(work, { timeout: AT_LATEST })
  else setTimeout(work, A_WHILE)
}

/** For what changes under a finger that is on its way: what stands at a place anew is deaf for a moment. */

/** Longer than the second tap of somebody who taps twice takes, and than a finger needs that was lifted for what was there before. */
export const DEAF_FOR = 600

export class Settled {
  /** It does not hear yet: for `aria-disabled`. */
  isNew = $state(true)

  /** To be called by an effect that depends on what is shown there; the answer ends it. */
  changed(): () => void {
    this.isNew = true
    const timer = setTimeout(() => (this.isNew = false), DEAF_FOR)
    return () => clearTimeout(timer)
  }

  /** Whether somebody can have meant it. Keys and what reads the screen have no finger on its way. */
  hears(event: MouseEvent): boolean {
    return !this.isNew || event.detail === 0
  }
}

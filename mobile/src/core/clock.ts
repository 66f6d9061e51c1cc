/** What time it is, corrected by the gateway: a phone's clock may be hours wrong, and countdowns must not be. */

/** Beyond what a slow line explains: an answer's Date has whole seconds. */
const NOTICEABLE = 2_000
/** An answer that was under way for longer says too little about now. */
const SLOWEST = 5_000
/** Nobody's clock is believed outside of these years. */
const EARLIEST = Date.UTC(2024, 0)
const LATEST = Date.UTC(2100, 0)

export class Clock {
  /** Milliseconds that the gateway is ahead of this device; 0 where they agree. */
  offset = 0

  constructor(private readonly device: () => number = Date.now) {}

  /** Milliseconds since 1970, as the gateway would say. */
  now(): number {
    return this.device() + this.offset
  }

  /** Whole seconds, for the `iat` of a proof. */
  seconds(): number {
    return Math.floor(this.now() / 1000)
  }

  /** As this device's own clock has it: two of these are compared with each other and with nothing else. */
  deviceTime(): string {
    return new Date(this.device()).toISOString()
  }

  /** The gateway has said what time it is; `askedAt`: by the device's clock, when it was asked. */
  correct(said: string | null, askedAt: number): void {
    const heardAt = this.device()
    const server = said === null ? Number.NaN : Date.parse(said)
    const took = heardAt - askedAt
    if (!(server >= EARLIEST && server < LATEST) || took < 0 || took > SLOWEST) return
    const apart = server - (askedAt + took / 2)
    this.offset = Math.abs(apart) <= NOTICEABLE ? 0 : Math.round(apart)
  }

  /** The device's own time, to measure with. */
  raw(): number {
    return this.device()
  }
}

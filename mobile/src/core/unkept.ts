import type { Entry } from './outbox'

/** What a full device could not keep: it is there while the page is, and no longer. */
export class Unkept {
  /** By their ids; of one that is kept as well this is the newer state. */
  readonly entries = new Map<string, Entry>()
  readonly settings = new Map<string, unknown>()

  /** `told`: whether the last write of what is shown, or of what somebody did, found no room. */
  constructor(readonly told: (isFull: boolean) => void) {}

  /** In the place of an entry that could not be written. */
  put(entry: Entry): Entry {
    const unkept = { ...entry, isUnkept: true }
    this.entries.set(entry.id, unkept)
    this.told(true)
    return unkept
  }

  /** What there is of both, in the order in which it was done. */
  over(kept: readonly Entry[]): Entry[] {
    const all = new Map(kept.map((entry) => [entry.id, entry]))
    for (const [id, entry] of this.entries) all.set(id, entry)
    return [...all.values()].sort((one, other) => one.seq - other.seq)
  }

  forget(keep: readonly string[]): void {
    this.entries.clear()
    for (const name of this.settings.keys()) if (!keep.includes(name)) this.settings.delete(name)
  }
}

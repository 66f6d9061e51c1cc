/** What the app keeps on the device, so that it starts without a network. Bounded: 100 MB, and alerts of 24 hours. */

import { type DBSchema, type IDBPDatabase, openDB } from 'idb'
import type { Incident, Schemas } from './api'
import type { Entry } from './outbox'
import type { Unkept } from './unkept'

export type Alert = Schemas['AlertView']
export type TimelineEntry = Schemas['TimelineEntry']

const NAME = 'pager'
const VERSION = 1
export const MOST_BYTES = 100_000_000
export const ALERTS_LAST = 24 * 3_600_000
/** So many bytes are written between two looks at how many there are. */
const LOOK_EVERY = 2_000_000

interface Kept<Value> {
  id: string
  /** When it is from, in milliseconds: the oldest go first. */
  at: number
  /** Bytes that it takes at most. */
  size: number
  value: Value
}
interface KeptAlert extends Kept<Alert> {
  incidentId: string
}

interface Tables extends DBSchema {
  incidents: { key: string; value: Kept<Incident>; indexes: { age: [number, number] } }
  alerts: { key: string; value: KeptAlert; indexes: { age: [number, number]; incidentId: string } }
  timeline: { key: string; value: Kept<TimelineEntry[]>; indexes: { age: [number, number] } }
  outbox: { key: string; value: Entry; indexes: { seq: number } }
  settings: { key: string; value: unknown }
  keys: { key: string; value: CryptoKeyPair }
}
type Cache = 'incidents' | 'alerts' | 'timeline'
/** The first of these is given up first. */
const CACHES: readonly Cache[] = ['alerts', 'timeline', 'incidents']

/** There is no room left on the device, also after what was old has gone. */
export class StorageFull extends Error {
  override readonly name = 'StorageFull'
}

export class Database {
  private written = 0
  /** Where a page has what finds no room. null: that is StorageFull, since a worker does not live long enough. */
  unkept: Unkept | null = null

  private constructor(
    private readonly idb: IDBPDatabase<Tables>,
    private readonly now: () => number,
    private readonly mostBytes: number,
  ) {}

  /** `now`: the corrected clock. Raises what IndexedDB raises: a device without it cannot keep an acknowledgement. */
  static async open(now: () => number, mostBytes = MOST_BYTES, name = NAME): Promise<Database> {
    const idb = await openDB<Tables>(name, VERSION, {
      upgrade(db) {
        for (const cache of CACHES) {
          const store = db.createObjectStore(cache, { keyPath: 'id' })
          store.createIndex('age', ['at', 'size'])
          if (cache === 'alerts') (store as unknown as IDBObjectStore).createIndex('incidentId', 'incidentId')
        }
        db.createObjectStore('outbox', { keyPath: 'id' }).createIndex('seq', 'seq', { unique: true })
        db.createObjectStore('settings')
        db.createObjectStore('keys')
      },
      // A newer version of the app in another tab wants to change it: it must not wait for this one.
      blocking: (_from, _to, event) => (event.target as IDBDatabase).close(),
    })
    return new Database(idb, now, mostBytes)
  }

  close(): void {
    this.idb.close()
  }

  // Incidents

  /** Keep them as they stand; of two states the one with the larger version stays. */
  async putIncidents(incidents: readonly Incident[]): Promise<void> {
    await this.fill(incidents.map(sizeOf), async () => {
      const writing = this.idb.transaction('incidents', 'readwrite')
      const put = async () => {
        for (const value of incidents) {
          const kept = await writing.store.get(value.id)
          if (kept !== undefined && kept.value.version > value.version) continue
          const at = timeOf(value.updatedAt, this.now())
          await writing.store.put({ id: value.id, at, size: sizeOf(value), value: plain(value) })
        }
      }
      await ended(writing, put())
    })
  }

  async incident(id: string): Promise<Incident | null> {
    return (await this.idb.get('incidents', id))?.value ?? null
  }

  async incidents(): Promise<Incident[]> {
    return (await this.idb.getAll('incidents')).map((kept) => kept.value)
  }

  /** It is not for this person any more. */
  async forgetIncident(id: string): Promise<void> {
    const writing = this.idb.transaction(['incidents', 'timeline', 'alerts'], 'readwrite')
    await writing.objectStore('incidents').delete(id)
    await writing.objectStore('timeline').delete(id)
    for (const key of await writing.objectStore('alerts').index('incidentId').getAllKeys(id)) {
      await writing.objectStore('alerts').delete(key)
    }
    await writing.done
  }

  // Alerts and timelines

  async putAlerts(incidentId: string, alerts: readonly Alert[]): Promise<void> {
    await this.fill(alerts.map(sizeOf), async () => {
      const writing = this.idb.transaction('alerts', 'readwrite')
      const put = async () => {
        for (const value of alerts) {
          const at = timeOf(value.lastAt, this.now())
          await writing.store.put({ id: value.id, incidentId, at, size: sizeOf(value), value: plain(value) })
        }
      }
      await ended(writing, put())
    })
  }

  async alerts(incidentId: string): Promise<Alert[]> {
    const kept = await this.idb.getAllFromIndex('alerts', 'incidentId', incidentId)
    return kept.sort((one, other) => other.at - one.at).map((each) => each.value)
  }

  async putTimeline(incidentId: string, entries: readonly TimelineEntry[]): Promise<void> {
    const size = sizeOf(entries)
    await this.fill([size], () =>
      this.idb.put('timeline', { id: incidentId, at: this.now(), size, value: plain([...entries]) }),
    )
  }

  async timeline(incidentId: string): Promise<TimelineEntry[]> {
    return (await this.idb.get('timeline', incidentId))?.value ?? []
  }

  // The outbox: never given up for room

  /** The next place in the order of what was done; what is there under its id already stays as it is. */
  async addEntry(make: (seq: number) => Entry): Promise<Entry> {
    const add = async () => {
      const writing = this.idb.transaction('outbox', 'readwrite')
      const put = async () => {
        const last = await writing.store.index('seq').openKeyCursor(null, 'prev')
        const entry = plain(make(last === null ? 1 : last.key + 1))
        const kept = await writing.store.get(entry.id)
        if (kept === undefined) await writing.store.add(entry)
        return kept ?? entry
      }
      return ended(writing, put())
    }
    const unkept = async () => {
      const memory = this.memory()
      const entry = plain(make(((await this.entries()).at(-1)?.seq ?? 0) + 1))
      return (await this.entry(entry.id)) ?? memory.put(entry)
    }
    return this.roomFor(add, unkept)
  }

  /** Writes it only where it is still there: another tab may have dismissed it. */
  async changeEntry(id: string, change: (entry: Entry) => Entry | null): Promise<Entry | null> {
    const over = this.unkept?.entries.get(id)
    if (over !== undefined) return this.changeUnkept(over, change(over))
    const write = async () => {
      const writing = this.idb.transaction('outbox', 'readwrite')
      const put = async () => {
        const kept = await writing.store.get(id)
        const changed = kept === undefined ? null : change(kept)
        if (changed !== null) await writing.store.put(plain(changed))
        else if (kept !== undefined) await writing.store.delete(id)
        return changed
      }
      return ended(writing, put())
    }
    return this.roomFor(write, async () => {
      const kept = await this.entry(id)
      return kept === null ? null : this.changeUnkept(kept, change(kept))
    })
  }

  async entry(id: string): Promise<Entry | null> {
    return this.unkept?.entries.get(id) ?? (await this.idb.get('outbox', id)) ?? null
  }

  async entries(): Promise<Entry[]> {
    const kept = await this.idb.getAllFromIndex('outbox', 'seq')
    return this.unkept === null ? kept : this.unkept.over(kept)
  }

  private async changeUnkept(entry: Entry, changed: Entry | null): Promise<Entry | null> {
    const memory = this.memory()
    // What is settled must not be sent again by the next start, from the state that is kept of it.
    if (changed?.state !== 'queued') await this.idb.delete('outbox', entry.id)
    if (changed !== null) return memory.put(changed)
    memory.entries.delete(entry.id)
    return null
  }

  /** For what finds no room. Raises StorageFull where there is none in memory either. */
  private memory(): Unkept {
    if (this.unkept === null) throw new StorageFull('this device has no room left')
    return this.unkept
  }

  /** Write what somebody did: what is only for showing goes for it, and `otherwise` where that was not enough. */
  private async roomFor<Value>(write: () => Promise<Value>, otherwise: () => Promise<Value>): Promise<Value> {
    try {
      return await write()
    } catch (error) {
      if (!isFull(error)) throw error
    }
    await this.trim(this.mostBytes / 2)
    try {
      return await write()
    } catch (error) {
      if (!isFull(error)) throw error
      return otherwise()
    }
  }

  // Settings and keys

  async setting<Value>(name: string): Promise<Value | null> {
    const kept = this.unkept?.settings.get(name) ?? (await this.idb.get('settings', name))
    return (kept as Value | undefined) ?? null
  }

  /** Raises StorageFull. */
  async set(name: string, value: unknown): Promise<void> {
    this.unkept?.settings.delete(name)
    if (value === null) return this.idb.delete('settings', name)
    const put = async () => void (await this.idb.put('settings', plain(value), name))
    await this.roomFor(put, async () => void this.memory().settings.set(name, plain(value)))
  }

  /** Settings whose names begin so, by their names. */
  async settingsOf<Value>(prefix: string): Promise<Map<string, Value>> {
    const range = IDBKeyRange.bound(prefix, `${prefix}\uffff`)
    const reading = this.idb.transaction('settings').store
    const [names, values] = await Promise.all([reading.getAllKeys(range), reading.getAll(range)])
    return new Map(names.map((name, index) => [name, values[index] as Value]))
  }

  async key(name: string): Promise<CryptoKeyPair | null> {
    return (await this.idb.get('keys', name)) ?? null
  }

  async putKey(name: string, pair: CryptoKeyPair): Promise<void> {
    await this.idb.put('keys', pair, name)
  }

  /** Everything of whoever was signed in. `keep`: settings of the device, such as its address and theme. */
  async wipe(keep: readonly string[] = [], { keys = false } = {}): Promise<void> {
    const stores = ['incidents', 'alerts', 'timeline', 'outbox', 'settings', 'keys'] as const
    const writing = this.idb.transaction(stores, 'readwrite')
    for (const store of stores) {
      if (store !== 'settings' && !(keys && store === 'keys')) await writing.objectStore(store).clear()
    }
    for (const name of await writing.objectStore('settings').getAllKeys()) {
      if (!keep.includes(name)) await writing.objectStore('settings').delete(name)
    }
    await writing.done
    this.unkept?.forget(keep)
  }

  // Room

  /** Bytes of what is kept for showing. */
  async bytes(): Promise<number> {
    let sum = 0
    for (const cache of CACHES) for (const [, size] of await this.ages(cache)) sum += size
    return sum
  }

  /** Old alerts go, and then the oldest of everything until it is at most `most` bytes. */
  async trim(most = this.mostBytes): Promise<void> {
    this.written = 0
    const oldest = this.now() - ALERTS_LAST
    for (const key of await this.idb.getAllKeysFromIndex('alerts', 'age', IDBKeyRange.upperBound([oldest, Infinity]))) {
      await this.idb.delete('alerts', key)
    }
    let over = (await this.bytes()) - most
    for (const cache of CACHES) {
      for (const [id, size] of over > 0 ? await this.ages(cache) : []) {
        if (over <= 0) break
        await this.idb.delete(cache, id)
        over -= size
      }
    }
  }

  /** What is only for showing goes; the gateway has it. */
  async clearCaches(): Promise<void> {
    const writing = this.idb.transaction(CACHES, 'readwrite')
    for (const cache of CACHES) await writing.objectStore(cache).clear()
    await writing.done
  }

  private async ages(cache: Cache): Promise<[id: string, size: number][]> {
    const found: [string, number][] = []
    const index = this.idb.transaction(cache).store.index('age')
    for (let cursor = await index.openKeyCursor(); cursor !== null; cursor = await cursor.continue()) {
      found.push([cursor.primaryKey, cursor.key[1]])
    }
    return found
  }

  /** Write what is only for showing. A full device makes room, and goes on without it where that is not enough. */
  private async fill(sizes: readonly number[], write: () => Promise<unknown>): Promise<void> {
    try {
      await write()
      this.unkept?.told(false)
    } catch (error) {
      if (!isFull(error)) throw error
      await this.trim((await this.bytes()) / 2)
      try {
        await write()
      } catch (again) {
        if (!isFull(again)) throw again
        this.unkept?.told(true)
      }
    }
    this.written += sizes.reduce((sum, size) => sum + size, 0)
    if (this.written >= Math.min(LOOK_EVERY, this.mostBytes / 10)) await this.trim()
  }
}

/** Of a transaction that is full both its request and its end fail: both are heard. */
async function ended<Value>(writing: { done: Promise<void> }, work: Promise<Value>): Promise<Value> {
  const [value] = await Promise.all([work, writing.done])
  return value
}

function isFull(error: unknown): boolean {
  return error instanceof Error && (error.name === 'QuotaExceededError' || error.name === 'QuotaExceeded')
}

/** Structured cloning refuses what a framework has wrapped. */
function plain<Value>(value: Value): Value {
  return JSON.parse(JSON.stringify(value)) as Value
}

/** A character is at most two bytes where strings are kept. */
function sizeOf(value: unknown): number {
  return JSON.stringify(value).length * 2 + 100
}

/** Never in the future: what says so would never go. */
function timeOf(text: string, now: number): number {
  const at = Date.parse(text)
  return Number.isNaN(at) ? now : Math.min(at, now)
}

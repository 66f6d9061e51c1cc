import { afterEach, describe, expect, it, vi } from 'vitest'
import { StorageFull } from '../../src/core/db'
import { rememberSignedIn, wasSignedIn } from '../../src/core/guess'
import { whenIdle } from '../../src/core/idle'
import { Outbox, type Entry } from '../../src/core/outbox'
import { Unkept } from '../../src/core/unkept'
import { Gateway, incident, MovedClock, ok, openDatabase, until } from './tools'

const full = () => Object.assign(new Error('full'), { name: 'QuotaExceededError' })
function fill(...methods: ('put' | 'add')[]): void {
  for (const method of methods)
    vi.spyOn(IDBObjectStore.prototype, method).mockImplementation(() => {
      throw full()
    })
}
const entry = (id: string) => (seq: number) => ({ id, seq, userId: 'u1', incidentId: 'i1', action: 'acknowledge', state: 'queued', attempts: 0 }) as Entry

afterEach(() => {
  vi.restoreAllMocks()
  localStorage.clear()
})

describe('a full device', () => {
  it('has what was done in memory, in its order, and sends it at once', async () => {
    const db = await openDatabase()
    await db.addEntry(entry('e1'))
    const told = vi.fn()
    db.unkept = new Unkept(told)
    fill('put', 'add')
    expect(await db.addEntry(entry('e2'))).toMatchObject({ id: 'e2', seq: 2, isUnkept: true })
    expect(await db.addEntry(entry('e2'))).toMatchObject({ seq: 2 })
    expect(told).toHaveBeenLastCalledWith(true)
    expect((await db.entries()).map(({ id }) => id)).toEqual(['e1', 'e2'])
    expect(await db.changeEntry('e2', (one) => ({ ...one, attempts: 1 }))).toMatchObject({ attempts: 1, isUnkept: true })
    expect(await db.entry('e2')).toMatchObject({ attempts: 1 })
    expect(await db.changeEntry('e2', () => null)).toBeNull()
    expect(await db.entry('e2')).toBeNull()
    expect(await db.changeEntry('e9', (one) => one)).toBeNull()
  })

  it('changes in memory what was kept before, and forgets what is settled, so that no start sends it again', async () => {
    const db = await openDatabase()
    await db.addEntry(entry('e1'))
    db.unkept = new Unkept(() => undefined)
    fill('put', 'add')
    await db.changeEntry('e1', (one) => ({ ...one, attempts: 1 }))
    expect(await db.entries()).toMatchObject([{ id: 'e1', attempts: 1, isUnkept: true }])
    await db.changeEntry('e1', (one) => ({ ...one, state: 'accepted' }))
    expect(await db.entries()).toMatchObject([{ state: 'accepted' }])
    db.unkept = null
    expect(await db.entries()).toEqual([])
  })

  it('is an error where nothing lives long enough to have it in memory', async () => {
    const db = await openDatabase()
    await db.addEntry(entry('e1'))
    fill('put', 'add')
    await expect(db.addEntry(entry('e2'))).rejects.toBeInstanceOf(StorageFull)
    await expect(db.changeEntry('e1', (one) => one)).rejects.toBeInstanceOf(StorageFull)
    await expect(db.set('deviceName', 'x')).rejects.toBeInstanceOf(StorageFull)
  })

  it('has settings in memory until they are kept, removed or wiped', async () => {
    const db = await openDatabase()
    db.unkept = new Unkept(() => undefined)
    fill('put')
    for (const name of ['server', 'user', 'deviceName']) await db.set(name, `${name}!`)
    expect([await db.setting('server'), await db.setting('user')]).toEqual(['server!', 'user!'])
    await db.set('deviceName', null)
    expect(await db.setting('deviceName')).toBeNull()
    await db.wipe(['server'])
    expect([await db.setting('server'), await db.setting('user')]).toEqual(['server!', null])
    vi.restoreAllMocks()
    await db.set('server', 'kept')
    db.unkept = null
    expect(await db.setting('server')).toBe('kept')
  })

  it('says that it is full, and that it is so no longer', async () => {
    const db = await openDatabase()
    const told = vi.fn()
    db.unkept = new Unkept(told)
    fill('put')
    await db.putIncidents([incident('i1')])
    expect(told).toHaveBeenLastCalledWith(true)
    vi.restoreAllMocks()
    await db.putIncidents([incident('i1')])
    expect(told).toHaveBeenLastCalledWith(false)
    expect(await db.incidents()).toHaveLength(1)
  })

  it('sends an acknowledgement that it cannot keep, without a moment to take it back', async () => {
    const db = await openDatabase()
    db.unkept = new Unkept(() => undefined)
    const moved = new MovedClock()
    const gateway = new Gateway()
    gateway.answer(ok({ incident: incident('i1', { status: 'acknowledged' }) }))
    const accepted = vi.fn()
    const outbox = new Outbox({
      ...{ db, api: gateway.api(moved.clock, 'web'), clock: moved.clock, userId: () => 'u1', nameOf: async () => null },
      ...{ accepted, changed: () => undefined },
    })
    fill('put', 'add')
    expect(await outbox.add({ incidentId: 'i1', action: 'acknowledge', undoFor: 5_000 })).toMatchObject({ isUnkept: true, notBefore: moved.at })
    await until(() => accepted.mock.calls.length === 1)
    expect(gateway.asked).toHaveLength(1)
    outbox.stop()
  })
})

describe('at the start', () => {
  it('it is guessed who was signed in, also where nothing is remembered', () => {
    expect(wasSignedIn()).toBe(false)
    rememberSignedIn(true)
    expect(wasSignedIn()).toBe(true)
    rememberSignedIn(false)
    expect(wasSignedIn()).toBe(false)
    for (const method of ['getItem', 'setItem', 'removeItem'] as const)
      vi.spyOn(Storage.prototype, method).mockImplementation(() => {
        throw new Error('not allowed')
      })
    rememberSignedIn(true)
    rememberSignedIn(false)
    expect(wasSignedIn()).toBe(false)
  })

  it('what nobody waits for is done later, also where a browser does not tell that it rests', () => {
    vi.useFakeTimers()
    const work = vi.fn()
    whenIdle(work)
    expect(work).not.toHaveBeenCalled()
    vi.advanceTimersByTime(1_000)
    expect(work).toHaveBeenCalledOnce()
    vi.useRealTimers()
    vi.stubGlobal('requestIdleCallback', (run: () => void) => run())
    whenIdle(work)
    expect(work).toHaveBeenCalledTimes(2)
    vi.unstubAllGlobals()
  })
})

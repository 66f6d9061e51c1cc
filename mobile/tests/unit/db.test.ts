import { describe, expect, it, vi } from 'vitest'
import { ALERTS_LAST, StorageFull, type Alert } from '../../src/core/db'
import { incident, openDatabase, START } from './tools'

const iso = (at: number) => new Date(at).toISOString()
const alert = (id: string, at: number) => ({ id, incidentId: 'i1', title: id, lastAt: iso(at) }) as unknown as Alert
const full = () => Object.assign(new Error('full'), { name: 'QuotaExceededError' })
const entry = (seq: number) => ({ id: `e${seq}`, seq }) as never

describe('the database', () => {
  it('keeps the newer of two states', async () => {
    const db = await openDatabase()
    await db.putIncidents([incident('i1', { version: 3, title: 'new' })])
    await db.putIncidents([incident('i1', { version: 2, title: 'old' }), incident('i2')])
    expect((await db.incident('i1'))?.title).toBe('new')
    expect(await db.incidents()).toHaveLength(2)
    expect(await db.incident('i9')).toBeNull()
  })

  it('forgets alerts after a day, whatever their own clock said', async () => {
    let now = START
    const db = await openDatabase(() => now)
    await db.putAlerts('i1', [alert('old', START - ALERTS_LAST - 1), alert('new', START), alert('future', START * 2)])
    await db.trim()
    expect((await db.alerts('i1')).map((one) => one.id).sort()).toEqual(['future', 'new'])
    now += ALERTS_LAST + 1
    await db.trim()
    expect(await db.alerts('i1')).toEqual([])
  })

  it('stays within its bytes: alerts go first, and the oldest of them', async () => {
    const db = await openDatabase(() => START, 20_000)
    await db.putIncidents([incident('i1')])
    await db.putTimeline('i1', [{ summary: 'x' } as never])
    for (let n = 0; n < 40; n += 1) await db.putAlerts('i1', [{ ...alert(`a${n}`, START - 40 + n), title: 'x'.repeat(500) }])
    await db.trim()
    expect(await db.bytes()).toBeLessThanOrEqual(20_000)
    const left = (await db.alerts('i1')).map((one) => one.id)
    expect(left[0]).toBe('a39')
    expect(left).not.toContain('a0')
    expect(await db.incident('i1')).not.toBeNull()
    await db.trim(0)
    expect([await db.incidents(), await db.timeline('i1'), await db.bytes()]).toEqual([[], [], 0])
  })

  it('forgets an incident with all that is of it', async () => {
    const db = await openDatabase()
    await db.putIncidents([incident('i1')])
    await db.putAlerts('i1', [alert('a', START)])
    await db.putTimeline('i1', [{ summary: 'x' } as never])
    await db.forgetIncident('i1')
    expect([await db.incident('i1'), await db.alerts('i1'), await db.timeline('i1')]).toEqual([null, [], []])
  })

  it('a full device makes room for what was done, and says so where there is none', async () => {
    const db = await openDatabase()
    await db.putIncidents([incident('i1')])
    const add = vi.spyOn(IDBObjectStore.prototype, 'add')
    add.mockImplementationOnce(() => {
      throw full()
    })
    expect(await db.addEntry(entry)).toMatchObject({ seq: 1 })
    add.mockImplementation(() => {
      throw full()
    })
    await expect(db.addEntry(entry)).rejects.toBeInstanceOf(StorageFull)
    add.mockRestore()
    expect(await db.entries()).toHaveLength(1)
  })

  it('a full device goes on without what is only shown', async () => {
    const db = await openDatabase()
    const put = vi.spyOn(IDBObjectStore.prototype, 'put')
    put.mockImplementation(() => {
      throw full()
    })
    await db.putIncidents([incident('i1')])
    put.mockImplementation(() => {
      throw new Error('broken')
    })
    await expect(db.putIncidents([incident('i1')])).rejects.toThrow('broken')
    await expect(db.addEntry(() => ({}) as never)).rejects.toThrow()
    put.mockRestore()
  })

  it('changes an entry only where it still is, and numbers them in order', async () => {
    const db = await openDatabase()
    await db.addEntry(entry)
    await db.addEntry(entry)
    expect((await db.entries()).map((one) => one.seq)).toEqual([1, 2])
    expect(await db.changeEntry('e9', (kept) => kept)).toBeNull()
    expect(await db.changeEntry('e1', () => null)).toBeNull()
    expect(await db.entries()).toHaveLength(1)
  })

  it('is wiped but for the device’s own settings, and closes', async () => {
    const db = await openDatabase()
    await db.set('server', 'x')
    await db.set('user', { id: 'u' })
    const pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign'])
    await db.putKey('k', pair).catch(() => undefined)
    await db.wipe(['server'])
    expect([await db.setting('server'), await db.setting('user'), await db.key('k')]).toEqual(['x', null, null])
    db.close()
  })
})

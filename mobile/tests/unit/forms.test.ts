import { beforeEach, describe, expect, it, vi } from 'vitest'
import { ApiError } from '../../src/core/errors'
import { Form, refusal } from '../../src/ui/form/form.svelte'
import { Held } from '../../src/ui/form/held.svelte'
import { Listing } from '../../src/ui/form/listing.svelte'
import { person, signIn } from './signed'

beforeEach(() => signIn(person('u1')))

describe('a form', () => {
  it('shows a refusal at the field that it names', async () => {
    const form = new Form(['name', 'levels'])
    const refuse = (status: number, field: string | null, more = {}) => form.send(() => Promise.reject(new ApiError(status, 'VALIDATION_ERROR', 'no', { field, reason: 'expected a name', ...more })))
    expect(await refuse(400, 'name')).toBe(false)
    expect([form.at('name'), form.error]).toEqual(['expected a name', null])
    await refuse(400, 'levels.0.timeoutMinutes')
    expect([form.at('name'), form.at('levels.0.timeoutMinutes'), form.within('levels'), form.within('levels', ['levels.0.timeoutMinutes'])]).toEqual([null, 'expected a name', 'expected a name', null])
    await refuse(400, 'elsewhere')
    expect(form.error).toBe('elsewhere: expected a name')
    await refuse(400, null)
    expect(form.error).toBe('expected a name')
    await refuse(412, null)
    expect([form.isStale, form.error !== null]).toEqual([true, true])
    form.clear()
    expect([form.isStale, form.error]).toEqual([false, null])
  })

  it('takes whoever sends it to what is at fault', async () => {
    const node = document.body.appendChild(document.createElement('form'))
    node.innerHTML = '<input aria-invalid="false"><input aria-invalid="true"><p role="alert"></p>'
    const form = new Form(['name'])
    const leave = form.attach(node)
    form.fail('name', 'needed')
    await new Promise((done) => setTimeout(done))
    expect(document.activeElement).toBe(node.children[1])
    node.children[1]!.remove()
    const shown = vi.fn()
    node.children[1]!.scrollIntoView = shown
    await form.send(() => Promise.reject(new ApiError(403, 'FORBIDDEN', 'no')))
    await new Promise((done) => setTimeout(done))
    expect(shown).toHaveBeenCalledOnce()
    leave()
    form.fail('name', 'needed')
    await new Promise((done) => setTimeout(done))
    expect(shown).toHaveBeenCalledOnce()
  })

  it('is sent once at a time, and says what it cannot explain', async () => {
    const form = new Form()
    let done = () => {}
    const first = form.send(() => new Promise<void>((resolve) => (done = resolve)))
    expect(form.isBusy).toBe(true)
    expect(await form.send(() => Promise.resolve())).toBe(false)
    done()
    expect(await first).toBe(true)
    expect(await form.send(() => Promise.reject(new Error('a bug')))).toBe(false)
    expect([form.isBusy, form.error]).toEqual([false, 'That did not work'])
  })

  it('says what is missing', () => {
    expect(refusal(new ApiError(403, 'FORBIDDEN', 'only its managers may'))).toBe('You may not do this: only its managers may')
    expect(refusal(new ApiError(409, 'CONFLICT', 'it is used by policy "Payments"'))).toBe('it is used by policy "Payments"')
    expect(refusal('x')).toBe('That did not work')
  })
})

describe('a list', () => {
  it('comes page by page, without what is there already', async () => {
    const ask = vi.fn(async (cursor?: string) => (cursor === undefined ? { items: [{ id: 'a' }, { id: 'b' }], nextCursor: 'c', total: 3 } : { items: [{ id: 'b' }, { id: 'c' }], nextCursor: null, total: 3 }))
    const list = new Listing<{ id: string; n?: number }>(ask)
    expect(list.isFirst).toBe(true)
    await list.load()
    expect([list.items.length, list.hasMore, list.total]).toEqual([2, true, 3])
    await list.more()
    expect([list.items.map((one) => one.id), list.hasMore]).toEqual([['a', 'b', 'c'], false])
    await list.more()
    expect(ask).toHaveBeenCalledTimes(2)
    list.put({ id: 'b', n: 2 })
    list.put({ id: 'z' })
    list.remove('a')
    expect(list.items).toEqual([{ id: 'z' }, { id: 'b', n: 2 }, { id: 'c' }])
  })

  it('forgets answers to an older question, and keeps what it has where one is refused', async () => {
    const waiting: ((items: { id: string }[]) => void)[] = []
    const list = new Listing(() => new Promise<{ items: { id: string }[]; nextCursor: null; total: null }>((resolve) => waiting.push((items) => resolve({ items, nextCursor: null, total: null }))))
    const [first, second] = [list.load(), list.load()]
    waiting[1]!([{ id: 'new' }])
    waiting[0]!([{ id: 'old' }])
    await Promise.all([first, second])
    expect(list.items).toEqual([{ id: 'new' }])
    const failing = new Listing(() => Promise.reject(new Error('no')))
    await failing.load()
    expect([failing.isFirst, failing.error instanceof Error, failing.isLoading]).toEqual([true, true, false])
  })
})

describe('what is held', () => {
  it('has the version that was seen', async () => {
    const held = new Held(async () => ({ value: { name: 'x' }, etag: '"3-a"' }))
    expect(held.version).toEqual({})
    await held.load()
    expect([held.value, held.version]).toEqual([{ name: 'x' }, { ifMatch: '"3-a"' }])
    held.put({ value: { name: 'y' }, etag: null })
    expect([held.value, held.version]).toEqual([{ name: 'y' }, {}])
  })

  it('may be gone', async () => {
    const held = new Held(() => Promise.reject(new ApiError(404, 'NOT_FOUND', 'none')))
    await held.load()
    expect([held.value, held.isGone, held.isLoading]).toEqual([null, true, false])
  })
})

import { describe, expect, it, vi } from 'vitest'
import type { Incident } from '../../src/core/api'
import { ANA, BO, page, signedIn, type Answers } from './incidents-tools'
import { incident, ok, until } from './tools'

const mine = (id: string, more: Partial<Incident> = {}) => incident(id, { assignedTo: ANA, levelsRun: 1, ...more })
const explained = (outcome: string, chain: string[] = []) => ok({ people: [{ userId: ANA, outcome, reason: '', chain: chain.map((type) => ({ type })) }] })

async function watching(answers: Answers = {}) {
  const ring = vi.fn(async () => undefined)
  vi.doMock('../../src/native/alerts', () => ({ alerts: { ring, silence: async () => undefined, wipe: async () => undefined } }))
  const all = await signedIn({ 'GET /incidents': page([]), ...answers })
  const { pages } = await import('../../src/features/critical/pages.svelte')
  const { toasts } = await import('../../src/ui/toasts.svelte')
  pages.watch()
  return { ...all, pages, ring, toasts, ids: () => pages.waiting.map(({ id }) => id) }
}
const soon = () => new Promise((done) => setTimeout(done, 20))

describe('what wakes somebody', () => {
  it('is a critical page of theirs, on whatever screen they are, once', async () => {
    const { tell, router, pages, ids } = await watching()
    router.go('/settings')
    tell(mine('i1'), 'EscalationDue')
    tell(mine('i1'), 'EscalationDue')
    await until(() => router.path === '/alert/i1')
    expect(ids()).toEqual(['i1'])
    expect(pages.seen('i1')).toBeLessThan(1_000)
    expect([pages.seen('i1'), pages.seen('other')]).toEqual([null, null])
  })

  it.each<[string, Incident, string]>([
    ['an event that pages nobody', mine('i1'), 'NoteAdded'],
    ['what somebody has', mine('i1', { status: 'acknowledged' }), 'EscalationDue'],
    ['what is to be quiet', mine('i1', { suppression: { by: BO } }), 'EscalationDue'],
  ])('is not %s', async (_name, one, event) => {
    const { tell, router, ids } = await watching()
    tell(one, event)
    await soon()
    expect([ids(), router.path]).toEqual([[], '/incidents'])
  })

  it('is asked for where the incident does not say whom it pages', async () => {
    const { tell, ids, world } = await watching({ 'GET /incidents/i1/explain': explained('paged'), 'GET /incidents/i2/explain': explained('not_paged', ['NotificationIntended']) })
    let asked = 0
    world.answers['GET /incidents/i3/explain'] = () => explained((asked += 1) > 1 ? 'paged' : 'not_paged')
    tell(mine('i1', { assignedTo: BO }), 'EscalationDue')
    await until(() => ids().join() === 'i1')
    tell(mine('i2', { assignedTo: BO }), 'EscalationExhausted')
    await until(() => ids().join() === 'i1,i2')
    tell(mine('i3', { assignedTo: BO }), 'EscalationDue')
    await until(() => ids().join() === 'i1,i2,i3')
    tell(mine('i4', { assignedTo: BO, responders: [ANA] }), 'EscalationDue')
    await until(() => ids().includes('i4'))
    tell(mine('i5', { assignedTo: BO }), 'EscalationDue')
    await soon()
    expect(ids()).not.toContain('i5')
  })

  it('that is not critical rings and is mentioned', async () => {
    const { tell, ring, toasts, router, ids } = await watching()
    tell(mine('i1', { priority: 'high', title: 'API' }), 'EscalationDue')
    await until(() => toasts.shown !== null)
    expect([ring.mock.calls, toasts.shown?.text, ids()]).toEqual([[[{ priority: 'high' }]], 'High incident for you: API', []])
    tell(mine('i2', { priority: 'high', title: 'x'.repeat(255) }), 'EscalationDue')
    await until(() => toasts.shown?.text !== 'High incident for you: API')
    expect(toasts.shown?.text, 'what is below it can be reached').toBe(`High incident for you: ${'x'.repeat(59)}…`)
    toasts.show('over')
    tell(mine('i1', { priority: 'high', title: 'API' }), 'EscalationDue')
    await until(() => toasts.shown?.text !== 'over')
    toasts.shown?.action?.run()
    expect(router.path).toBe('/incidents/i1')
  })

  it('is found when the app starts', async () => {
    const { listAgain, ids, router } = await watching({
      'GET /incidents': (_asked, { searchParams }) => page(searchParams.get('status') === 'created' ? [mine('i1'), mine('i2', { assignedTo: BO })] : [mine('i3', { status: 'escalated' })]),
      'GET /incidents/i2/explain': explained('not_paged'),
    })
    listAgain()
    await until(() => ids().length === 2)
    expect([ids(), router.path]).toEqual([['i3', 'i1'], '/alert/i3'])
  })

  it('in a flood is looked for again once the first are answered, and not what was left before it was known', async () => {
    let burning = Array.from({ length: 25 }, (_, number) => mine(`i${number}`))
    const { listAgain, pages, ids, router } = await watching({
      'GET /incidents': (_asked, { searchParams }) => page(searchParams.get('status') === 'created' ? burning.slice(0, Number(searchParams.get('limit'))) : []),
    })
    listAgain()
    await until(() => ids().length === 20)
    for (const id of ids()) {
      burning = burning.filter((one) => one.id !== id)
      pages.done(id)
    }
    await until(() => ids().length === 5)
    expect(router.path).toBe('/alert/i20')
    burning = []
    for (const id of ids().slice(1)) pages.done(id)
    burning = [mine('i20')]
    pages.leave(null, 'i20')
    await soon()
    expect([ids(), router.path]).toEqual([[], '/incidents/i20'])
  })

  it('comes one after the other, and ends at the incident', async () => {
    const { pages, ids, router, tell, gone } = await watching()
    for (const id of ['i1', 'i2', 'i1', 'i3', 'i4']) tell(mine(id), 'EscalationDue')
    await until(() => ids().length === 4)
    expect([ids(), router.path]).toEqual([['i1', 'i2', 'i3', 'i4'], '/alert/i1'])
    tell(mine('i3', { status: 'acknowledged' }))
    expect(ids()).toEqual(['i1', 'i2', 'i4'])
    gone('i4')
    pages.done('i1')
    expect(router.path).toBe('/alert/i2')
    pages.done('i2')
    expect([ids(), router.path]).toEqual([[], '/incidents/i2'])
    // A screen that is on its way out brings nothing back.
    pages.shown('i2')
    expect(ids()).toEqual([])
    tell(mine('i5'), 'EscalationDue')
    await until(() => ids().length === 1)
    pages.shown('i6')
    expect(ids()).toEqual(['i6', 'i5'])
  })

  it('that was left wakes again with its next page alone', async () => {
    const { pages, ids, tell, router } = await watching()
    tell(mine('i1'), 'EscalationDue')
    await until(() => ids().length === 1)
    pages.leave(mine('i1'), 'i1')
    expect(router.path).toBe('/incidents/i1')
    expect(await pages.mayBe(mine('i1'))).toBe(false)
    tell(mine('i1'), 'EscalationDue')
    await soon()
    expect(ids()).toEqual([])
    tell(mine('i1', { levelsRun: 2 }), 'EscalationDue')
    await until(() => ids().join() === 'i1')
    pages.leave(null, 'i1')
    expect(await pages.mayBe(mine('i2'))).toBe(true)
  })

  it('that was answered here does not wake again, though nothing was sent yet', async () => {
    const { app, pages, tell, ids, world } = await watching()
    world.isAway = true
    await app.act({ incidentId: 'i1', action: 'acknowledge' })
    expect(await pages.mayBe(mine('i1'))).toBe(false)
    tell(mine('i1'), 'EscalationDue')
    await soon()
    expect(ids()).toEqual([])
    app.user = null
    expect(await pages.mayBe(mine('i9'))).toBe(false)
  })
})

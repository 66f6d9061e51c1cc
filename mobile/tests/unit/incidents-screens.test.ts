import { configure, fireEvent, screen, within } from '@testing-library/dom'
import type { Component } from 'svelte'
import type { Incident } from '../../src/core/api'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { ana, ANA, bo, BO, gate, page, signedIn, TEAM, type Answers } from './incidents-tools'
import { incident, ok, refused, until } from './tools'

// A deadline and no measure: the machine may be busy.
configure({ asyncUtilTimeout: 10_000 })
vi.setConfig({ testTimeout: 30_000 })

const ring = vi.fn(async () => undefined)
const silence = vi.fn(async () => undefined)
beforeEach(() => {
  ring.mockClear()
  silence.mockClear()
  vi.doMock('../../src/native/alerts', () => ({ alerts: { ring, silence, wipe: async () => undefined } }))
})

// Modules are made anew for each app, Svelte among them: what renders is of the same making.
let cleanup: () => void = () => undefined
async function render(screen: Component<any>, props = {}) {
  const { mount, unmount, flushSync } = await import('svelte')
  cleanup()
  const mounted = mount(screen, { target: document.body, props })
  flushSync()
  cleanup = () => {
    void unmount(mounted)
    cleanup = () => undefined
  }
}
afterEach(() => cleanup())

const burning = (more = {}) =>
  incident('i1', {
    ...{ assignedTo: ANA, description: 'All customers', metadata: { location: 'Rack <b>1</b>' }, teamId: TEAM },
    ...{ escalation: { level: 1, nextAt: new Date(Date.now() + 90_000).toISOString() } },
    ...more,
  })
const there = (more: Answers = {}): Answers => ({
  'GET /incidents/i1': ok({ incident: burning() }),
  'GET /incidents/i1/timeline': ok({ entries: [] }),
  [`GET /teams/${TEAM}`]: ok({ team: { name: 'Checkout' } }),
  [`GET /users/${BO}`]: ok({ user: bo }),
  [`GET /teams/${TEAM}/members`]: ok({ members: [{ userId: BO, role: 'manager', isActive: true, reachable: true }] }),
  'POST /incidents/i1/escalate': ok({ incident: burning({ version: 2, status: 'escalated' }) }),
  ...more,
})

describe('what is said at the bottom', () => {
  it('is pushed away by a finger, and not by a touch', async () => {
    const { toasts } = await import('../../src/ui/toasts.svelte')
    const { default: ToastArea } = await import('../../src/ui/ToastArea.svelte')
    await render(ToastArea)
    toasts.show('Saved', { lasts: 60_000 })
    const toast = (await screen.findByText('Saved')).parentElement ?? document.body
    const at = (type: string, clientX: number) => fireEvent(toast, new MouseEvent(type, { bubbles: true, clientX, clientY: 700 }))
    for (const end of ['pointerup', 'pointercancel']) {
      at('pointerdown', 100)
      at('pointermove', 110)
      at(end, 110)
      at('pointermove', 300)
      expect(toasts.shown?.text).toBe('Saved')
    }
    at('pointerdown', 100)
    at('pointermove', 160)
    expect(toasts.shown).toBeNull()
  })
})

describe('the red screen', () => {
  async function shown(answers: Answers) {
    const all = await signedIn(answers)
    all.router.go('/alert/i1')
    const { default: Alert } = await import('../../src/features/critical/Alert.svelte')
    const { pages } = await import('../../src/features/critical/pages.svelte')
    pages.watch()
    await render(Alert, { params: { id: 'i1' } })
    const phase = () => screen.getByRole('alertdialog').className
    return { ...all, pages, phase, ack: () => screen.getByRole('button', { name: /acknowledge/i }) }
  }

  it('rings, says what burns as text, and counts down', async () => {
    const { phase } = await shown(there())
    await until(() => phase().includes('burning'))
    expect(screen.getByRole('heading', { level: 1 }).textContent).toBe('Database failure')
    expect(screen.getByText(/Rack <b>1<\/b>/)).toBeTruthy()
    expect(screen.getByRole('timer').textContent).toMatch(/^01:(30|29)$/)
    expect(ring).toHaveBeenCalledWith({ priority: 'critical' })
    silence.mockClear()
    const { toasts } = await import('../../src/ui/toasts.svelte')
    cleanup()
    expect(silence).toHaveBeenCalled()
    expect(toasts.shown?.text, 'also by the way back of the phone').toBe('Nobody has it: it goes on paging.')
  })

  it('is answered once, however often it is tapped, and goes on to the incident', async () => {
    const { phase, ack, world, router } = await shown(there({ 'POST /incidents/i1/acknowledge': ok({ incident: burning({ version: 2, status: 'acknowledged', acknowledgedBy: ANA }) }) }))
    await until(() => phase().includes('burning'))
    const button = ack()
    await Promise.all([fireEvent.click(button), fireEvent.click(button), fireEvent.click(button)])
    await until(() => phase().includes('mine'))
    expect(world.asked('POST /incidents/i1/acknowledge')).toHaveLength(1)
    expect(silence).toHaveBeenCalled()
    await until(() => router.path === '/incidents/i1')
  })

  it('does not hear the finger that was on its way to what was there before, and hears keys', async () => {
    const { phase, ack, world, router } = await shown(there({ 'POST /incidents/i1/acknowledge': ok({ incident: burning({ version: 2, status: 'acknowledged', acknowledgedBy: ANA }) }) }))
    await until(() => phase().includes('burning'))
    const tapped = { detail: 1 }
    await fireEvent.click(ack(), tapped)
    await fireEvent.click(screen.getByText('Call lead now', { selector: '.call' }), tapped)
    await fireEvent.click(screen.getByRole('button', { name: /^Close/ }), tapped)
    expect([router.path, world.asked('POST /incidents/i1/acknowledge'), world.asked('POST /incidents/i1/escalate')]).toEqual(['/alert/i1', [], []])
    await until(() => ack().getAttribute('aria-disabled') === 'false')
    await fireEvent.click(ack(), tapped)
    await until(() => phase().includes('mine'))
    // The second tap of two is none for what comes after it.
    await fireEvent.click(screen.getByRole('button', { name: 'To the incident' }), tapped)
    expect(router.path).toBe('/alert/i1')
    await fireEvent.click(screen.getByRole('button', { name: 'To the incident' }))
    expect(router.path).toBe('/incidents/i1')
  })

  it('without a network says that nothing was acknowledged yet', async () => {
    const { phase, ack, world, app } = await shown(there())
    await until(() => phase().includes('burning'))
    world.isAway = true
    await fireEvent.click(ack())
    await until(() => phase().includes('queued'))
    expect(screen.getByRole('alert').textContent).toMatch(/^Queued: not yet acknowledged/)
    expect(phase()).not.toMatch(/mine|red/)
    expect(app.entries).toHaveLength(1)
  })

  it('says who was faster, and can be answered again where it was refused', async () => {
    const { phase, ack, world, tell } = await shown(there({ 'POST /incidents/i1/acknowledge': refused(403, 'FORBIDDEN') }))
    await until(() => phase().includes('burning'))
    await fireEvent.click(ack())
    await until(() => phase().includes('refused'))
    expect(screen.getByRole('alert').textContent).toBe('Refused: you may not do this')
    await fireEvent.click(ack())
    await until(() => world.asked('POST /incidents/i1/acknowledge').length === 2)
    tell(burning({ version: 3, status: 'acknowledged', acknowledgedBy: BO, acknowledgedAt: new Date().toISOString() }))
    await until(() => phase().includes('taken'))
    await until(() => screen.getByRole('alert').textContent?.startsWith('Bo Berg has it since') === true)
  })

  it('of an incident that is over, or is not there, says so', async () => {
    const first = await shown(there({ 'GET /incidents/i1': ok({ incident: burning({ status: 'closed', closedBy: BO, closedAt: new Date().toISOString() }) }) }))
    await until(() => first.phase().includes('over'))
    await until(() => screen.getByRole('alert').textContent?.startsWith('Closed by Bo Berg at') === true)
    expect(ring).not.toHaveBeenCalled()
    await fireEvent.click(screen.getByRole('button', { name: 'To the incident' }))
    expect(first.router.path).toBe('/incidents/i1')
    cleanup()
    const second = await shown({})
    await until(() => second.phase().includes('gone'))
    expect(screen.getByRole('alert').textContent).toBe('This incident is not there for you any more.')
  })

  it('calls the lead: dials where there is a number, and pages them once', async () => {
    const { phase, world } = await shown(there())
    await until(() => phase().includes('burning'))
    const link = await screen.findByRole('link', { name: 'Call lead now Bo Berg' })
    expect(link.getAttribute('href')).toBe('tel:+4915112345678')
    link.addEventListener('click', (event) => event.preventDefault())
    await fireEvent.click(link)
    await fireEvent.click(link)
    await until(() => world.asked('POST /incidents/i1/escalate').length === 1)
    expect(screen.getByText('Calling Bo Berg. The leads are paged as well.')).toBeTruthy()
  })

  it('says that a number is not shown', async () => {
    const { phase } = await shown(there({ [`GET /users/${BO}`]: ok({ user: { ...bo, phone: null } }) }))
    await until(() => phase().includes('burning'))
    await new Promise((done) => setTimeout(done, 50))
    await fireEvent.click(screen.getByRole('button', { name: 'Call lead now' }))
    await screen.findByText('Bo Berg is paged as lead. Their number is not shown to you.')
  })

  it('of what is not critical is the incident, and waits for others', async () => {
    const { router, pages } = await shown(there({ 'GET /incidents/i1': ok({ incident: burning({ priority: 'high' }) }) }))
    await until(() => router.path === '/incidents/i1')
    cleanup()
    const again = await shown(there())
    for (const id of ['i2', 'i1']) again.pages.shown(id)
    await screen.findByText('1 more alert waits')
    await fireEvent.click(screen.getByRole('button', { name: /^Close/ }))
    expect(again.router.path).toBe('/alert/i2')
    expect(pages.waiting).toEqual([])
  })
})

describe('the list', () => {
  async function shown(answers: Answers) {
    const all = await signedIn(answers)
    const { default: List } = await import('../../src/features/incidents/List.svelte')
    await render(List)
    return all
  }
  const all = [
    incident('i1', { title: 'Database failure', assignedTo: null }),
    incident('i2', { title: 'API timeout', priority: 'high', status: 'acknowledged', acknowledgedBy: BO }),
  ]
  const served: Answers = {
    [`GET /users/${BO}`]: ok({ user: bo }),
    'GET /incidents': (_asked, { searchParams }) => page(all.filter(({ status }) => status === searchParams.get('status'))),
  }

  it('reads on while its end is in sight, and says that there are more where there are', async () => {
    // It tells of a change alone, and there is none: the end stays where it is.
    vi.stubGlobal('IntersectionObserver', class { observe() {} disconnect() {} })
    const next: Record<string, [Incident[], string | null]> = { '': [[incident('i1')], 'c1'], c1: [[incident('i2')], 'c2'], c2: [[incident('i3')], null] }
    const { open, opened } = gate()
    await shown({
      'GET /incidents': async (_asked, { searchParams }) => {
        if (searchParams.get('status') !== 'created') return page([])
        const cursor = searchParams.get('cursor') ?? ''
        if (cursor === 'c1') await opened
        const [incidents, after] = next[cursor]!
        return page(incidents, after)
      },
    })
    await until(() => screen.queryByRole('heading', { level: 2 })?.textContent?.replace(/\s+/g, ' ') === 'Needs an answer 1+')
    open()
    await until(() => document.querySelectorAll('article').length === 3)
    await until(() => screen.getByRole('heading', { level: 2 }).textContent?.replace(/\s+/g, ' ') === 'Needs an answer 3')
    vi.unstubAllGlobals()
  })

  it('shows what a newer gateway alone knows as it is called, and the rest with it', async () => {
    const newer = [incident('i1', { title: 'Stands still', status: 'paused' as never, priority: 'urgent' as never }), incident('i2', { title: 'Burns' })]
    await shown({ 'GET /incidents': page(newer) })
    expect((await screen.findByRole('link', { name: /Stands still/ })).textContent).toMatch(/Urgent.*Paused/)
    expect(screen.getByRole('link', { name: /Burns/ })).toBeTruthy()
  })

  it('says priority, title, age, and who has it, in words', async () => {
    await shown(served)
    const card = (await screen.findByText('Database failure', { selector: '.title' })).closest('li')!
    expect(within(card).getByText('Critical')).toBeTruthy()
    expect(within(card).getByText('Unassigned')).toBeTruthy()
    expect(within(card).getByRole('button', { name: 'ACK Database failure' })).toBeTruthy()
    await screen.findByText('Bo Berg')
    expect(screen.getAllByRole('heading', { level: 2 }).map((one) => one.textContent?.trim())).toEqual(['Needs an answer 1', 'Somebody has it 1'])
  })

  it('acknowledges by a button, shows that it is queued, and takes it back', async () => {
    const { world } = await shown(served)
    await fireEvent.click(await screen.findByRole('button', { name: 'ACK Database failure' }))
    await screen.findByText(/Acknowledge: in a moment|in a moment/)
    await fireEvent.click(screen.getByRole('button', { name: /^Undo/ }))
    await screen.findByRole('button', { name: 'ACK Database failure' })
    expect(world.asked('POST /incidents/i1/acknowledge')).toEqual([])
  })

  it('does something to many, and says what became of each', async () => {
    const results = [{ id: 'i1', ok: true }, { id: 'i2', ok: false, error: { code: 'CONFLICT', message: 'resolve it first' } }]
    await shown({ ...served, 'POST /incidents/bulk': ok({ results }) })
    await screen.findByText('Database failure', { selector: '.title' })
    await fireEvent.click(screen.getByRole('button', { name: 'Select' }))
    await fireEvent.click(screen.getByRole('button', { name: 'All' }))
    expect(screen.getByText('2 selected')).toBeTruthy()
    await fireEvent.click(within(screen.getByRole('toolbar')).getByRole('button', { name: 'Close' }))
    await screen.findByText('Refused: resolve it first')
  })

  it('without anything says so, and without a network how old it is', async () => {
    await shown({ 'GET /incidents': page([]) })
    await screen.findByText('Nothing burns')
    cleanup()
    const { world } = await shown(served)
    await screen.findByText('Database failure', { selector: '.title' })
    world.isAway = true
    await fireEvent.click(screen.getByRole('button', { name: 'Refresh' }))
    await screen.findByText(/^A copy kept here. Last loaded/)
    cleanup()
    await shown({ 'GET /incidents': refused(403, 'FORBIDDEN') })
    await screen.findByText('FORBIDDEN it is')
  })
})

describe('one incident', () => {
  async function shown(answers: Answers, more = {}) {
    const all = await signedIn(there({ 'GET /incidents/i1': ok({ incident: burning({ priority: 'high', ...more }) }), 'GET /users': ok({ users: [ana, bo] }), ...answers }))
    all.router.go('/incidents/i1')
    const { default: Detail } = await import('../../src/features/incidents/Detail.svelte')
    await render(Detail, { params: { id: 'i1' } })
    await screen.findByRole('heading', { level: 1, name: 'Database failure' })
    return all
  }
  const press = async (name: string) => fireEvent.click(await screen.findByRole('button', { name }))

  it('writes a note down once, however fast it is tapped', async () => {
    const { world, app } = await shown({ 'POST /incidents/i1/notes': ok({ note: {} }) })
    const note = await screen.findByLabelText<HTMLTextAreaElement>('Note')
    await fireEvent.input(note, { target: { value: 'once' } })
    await Promise.all([fireEvent.submit(note.closest('form')!), fireEvent.submit(note.closest('form')!)])
    await until(() => world.asked('POST /incidents/i1/notes').length > 0 && note.value === '')
    await app.outbox.flush(true)
    expect(world.asked('POST /incidents/i1/notes')).toHaveLength(1)
  })

  it('keeps a note that is being written while a page takes the screen away', async () => {
    const { world, app } = await shown({ 'POST /incidents/i1/notes': ok({ note: {} }) })
    const { default: Detail } = await import('../../src/features/incidents/Detail.svelte')
    const note = () => screen.findByLabelText<HTMLTextAreaElement>('Note')
    await fireEvent.input(await note(), { target: { value: 'half a note' } })
    await render(Detail, { params: { id: 'i1' } })
    expect((await note()).value).toBe('half a note')
    await fireEvent.submit((await note()).closest('form')!)
    await until(() => world.asked('POST /incidents/i1/notes').length === 1)
    await render(Detail, { params: { id: 'i1' } })
    expect((await note()).value).toBe('')
    await fireEvent.input(await note(), { target: { value: 'mine' } })
    const { drafts } = await import('../../src/features/incidents/draft.svelte')
    app.user = { ...app.user!, id: BO }
    expect(drafts.noteOf('i1')).toBe('')
  })

  it('tapped twice is acknowledged, and not resolved by the second tap', async () => {
    const { world } = await shown({
      'POST /incidents/i1/acknowledge': ok({ incident: burning({ version: 2, priority: 'high', status: 'acknowledged', acknowledgedBy: ANA, acknowledgements: [{ userId: ANA }] }) }),
      'POST /incidents/i1/resolve': ok({ incident: burning({ version: 3, priority: 'high', status: 'resolved' }) }),
    })
    const first = () => screen.getByRole('group', { name: 'What can be done' }).querySelector('button')!
    await until(() => first().getAttribute('aria-disabled') === 'false')
    await fireEvent.click(first(), { detail: 1 })
    await until(() => first().textContent === 'Resolve')
    await fireEvent.click(first(), { detail: 1 })
    await until(() => first().getAttribute('aria-disabled') === 'false')
    expect(world.asked('POST /incidents/i1/resolve')).toEqual([])
    await fireEvent.click(first(), { detail: 1 })
    await until(() => world.asked('POST /incidents/i1/resolve').length === 1)
  })

  it('edits what is different alone, for the version that was looked at', async () => {
    const { world } = await shown({ 'PATCH /incidents/i1': refused(412, 'PRECONDITION_FAILED') }, { version: 7 })
    await press('Edit')
    await fireEvent.input(screen.getByLabelText('Title'), { target: { value: '' } })
    await press('Save')
    await screen.findByText('It needs a title.')
    await fireEvent.input(screen.getByLabelText('Title'), { target: { value: 'Better' } })
    await press('Save')
    await screen.findByText(/somebody has changed it meanwhile/)
    const [asked] = world.asked('PATCH /incidents/i1')
    expect([asked?.body, asked?.headers.get('If-Match')]).toEqual([{ title: 'Better' }, '"7"'])
    await until(() => world.asked('GET /incidents/i1').length === 2)
  })

  it('gives it to somebody, who has to be chosen', async () => {
    const { world } = await shown({ 'POST /incidents/i1/reassign': ok({ incident: burning({ priority: 'high', version: 2 }) }) })
    await press('Reassign')
    await fireEvent.submit(document.querySelector('dialog form')!)
    await screen.findByText('Choose somebody.')
    await fireEvent.click(await screen.findByRole('button', { name: /Bo Berg/ }))
    await fireEvent.submit(document.querySelector('dialog form')!)
    await until(() => world.asked('POST /incidents/i1/reassign').length === 1)
    expect(world.asked('POST /incidents/i1/reassign')[0]?.body).toMatchObject({ assignedTo: BO })
  })

  it('snoozes, escalates and keeps quiet with what was chosen, and takes notes', async () => {
    const { world } = await shown({
      'POST /incidents/i1/snooze': ok({ incident: burning({ priority: 'high', version: 2 }) }),
      'POST /incidents/i1/suppress': ok({ incident: burning({ priority: 'high', version: 3 }) }),
      'POST /incidents/i1/notes': ok({ note: {} }),
    })
    await press('Snooze')
    await fireEvent.click(screen.getByLabelText('15 min'))
    await fireEvent.submit(document.querySelector('dialog form')!)
    await until(() => world.asked('POST /incidents/i1/snooze').length === 1)
    await press('Escalate')
    await fireEvent.click(screen.getByLabelText('Level 2'))
    await fireEvent.submit(document.querySelector('dialog form')!)
    await until(() => world.asked('POST /incidents/i1/escalate').length === 1)
    await press('Keep quiet')
    await fireEvent.input(screen.getByLabelText(/^Why/), { target: { value: ' known ' } })
    await fireEvent.submit(document.querySelector('dialog form')!)
    await until(() => world.asked('POST /incidents/i1/suppress').length === 1)
    await fireEvent.input(screen.getByLabelText('Note'), { target: { value: ' looked at it ' } })
    await press('Add note')
    await until(() => world.asked('POST /incidents/i1/notes').length === 1)
    const bodies = ['snooze', 'escalate', 'suppress', 'notes'].map((what) => world.asked(`POST /incidents/i1/${what}`)[0]?.body)
    expect(bodies).toMatchObject([{ minutes: 15 }, { level: 2 }, { minutes: 60, reason: 'known' }, { text: 'looked at it' }])
  })

  it('that is critical and pages whoever looks is the red screen', async () => {
    const { router } = await shown({}, { priority: 'critical' })
    await until(() => router.path === '/alert/i1')
  })

  it('tells of a gateway that has no notifications, and of receipts where it has', async () => {
    const { world } = await shown({})
    const part = screen.getByText('Who was told').closest('details')!
    part.open = true
    await fireEvent(part, new Event('toggle'))
    await screen.findByText('Nobody was told yet.')
    expect(world.asked('GET /notifications')).toHaveLength(1)
    cleanup()
    const at = new Date().toISOString()
    const one = { id: 'n1', userId: BO, method: 'push', level: 1, createdAt: at, state: 'accepted', attempts: [{ attempt: 1, at, provider: 'fcm', outcome: 'failed', reason: 'busy' }], receipts: { opened: at } }
    await shown({ 'GET /notifications': ok({ notifications: [one], nextCursor: null }) })
    const again = screen.getByText('Who was told').closest('details')!
    again.open = true
    await fireEvent(again, new Event('toggle'))
    await screen.findByText('Accepted by the push service')
    expect(screen.getByText(/fcm failed/)).toBeTruthy()
    expect(screen.getByText(/^Opened/)).toBeTruthy()
  })
})

describe('a new incident', () => {
  it('whose session ends while it is sent waits for the same person', async () => {
    const { world } = await signedIn({ 'GET /escalation/policies': ok({ policies: [] }) })
    const { default: Create } = await import('../../src/features/incidents/Create.svelte')
    const title = () => screen.getByLabelText<HTMLInputElement>('Title')
    const { open, opened } = gate()
    world.answers['POST /incidents'] = async () => (await opened, refused(403, 'FORBIDDEN'))
    await render(Create)
    await fireEvent.input(title(), { target: { value: 'Half' } })
    await fireEvent.click(screen.getByRole('button', { name: 'Open incident' }))
    await until(() => world.asked('POST /incidents').length === 1)
    cleanup()
    open()
    await new Promise((done) => setTimeout(done, 20))
    await render(Create)
    expect(title().value).toBe('Half')
  })

  it('is kept while a page takes the screen away, until it is sent or begun anew', async () => {
    const { router } = await signedIn({ 'GET /escalation/policies': ok({ policies: [] }), 'POST /incidents': ok({ incident: incident('i9') }) })
    const { default: Create } = await import('../../src/features/incidents/Create.svelte')
    const title = () => screen.getByLabelText<HTMLInputElement>('Title')
    await render(Create)
    expect(screen.queryByText('As you left it.')).toBeNull()
    await fireEvent.input(title(), { target: { value: 'Half' } })
    await render(Create)
    expect(title().value).toBe('Half')
    await fireEvent.click(screen.getByRole('button', { name: 'Start anew' }))
    expect([title().value, screen.queryByText('As you left it.')]).toEqual(['', null])
    await fireEvent.input(title(), { target: { value: 'Whole' } })
    await render(Create)
    await fireEvent.click(screen.getByRole('button', { name: 'Open incident' }))
    await until(() => router.path === '/incidents/i9')
    await render(Create)
    expect(title().value).toBe('')
  })

  it('is written and opened, and what is wrong stands at its field', async () => {
    const { router, world } = await signedIn({
      'GET /escalation/policies': ok({ policies: [{ id: 'p1', name: 'Default' }] }),
      'POST /incidents': refused(400, 'VALIDATION_ERROR', { field: 'teamId', reason: 'is not your team' }),
    })
    const { default: Create } = await import('../../src/features/incidents/Create.svelte')
    await render(Create)
    await fireEvent.click(screen.getByRole('button', { name: 'Open incident' }))
    await screen.findByText('It needs a title.')
    await fireEvent.input(screen.getByLabelText('Title'), { target: { value: 'Down' } })
    await fireEvent.click(screen.getByRole('button', { name: 'Open incident' }))
    await screen.findByText('is not your team')
    world.answers['POST /incidents'] = ok({ incident: incident('i9') })
    await fireEvent.click(screen.getByRole('button', { name: 'Open incident' }))
    await until(() => router.path === '/incidents/i9')
  })
})

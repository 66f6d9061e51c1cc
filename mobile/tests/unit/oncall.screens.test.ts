import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { app } from '../../src/core/app.svelte'
import OnCall from '../../src/features/oncall/OnCall.svelte'
import Schedule from '../../src/features/oncall/Schedule.svelte'
import { swipe } from '../../src/features/oncall/swipe'
import { Doors, page, person, schedule, shift, signIn } from './signed'
import { ok, refused, START } from './tools'

const iso = (hours: number) => new Date(START + hours * 3_600_000).toISOString()
let people = 0

async function setUp(change: (doors: Doors, me: string) => void = () => {}, roles: ('user' | 'lead')[] = ['user']) {
  // Another person each time: the screens share what the last one has seen.
  const me = `me${(people += 1)}`
  const layers = [{ rotationType: 'daily', interval: 1, start: '2026-03-02T09:00:00', participants: [me, 'u2'] }]
  const doors = new Doors()
    .on('GET /on-call', page('onCall', [{ userId: me, userName: 'Ana Test', scheduleId: 's1', scheduleName: 'Nights', startTime: iso(-2), endTime: iso(3) }]))
    .on('GET /on-call/schedules', page('schedules', [schedule('s1', { name: 'Nights', timezone: 'Asia/Tokyo', layers }), schedule('s2', { name: 'Nobody’s', layers: [] }), schedule('s3', { name: 'Paused', isActive: false, layers: [] })]))
    .on('GET /on-call/schedules/s1', ok({ schedule: schedule('s1', { name: 'Nights', timezone: 'Asia/Tokyo', layers }) }))
    .on('GET /escalation/policies', page('policies', [{ id: 'p1', name: '<b>Payments</b>', levels: [{ timeoutMinutes: 5, targets: [{ type: 'schedule', id: 's1' }, { type: 'user', id: me }, { type: 'user', id: 'gone' }] }, { timeoutMinutes: 7.5, targets: [{ type: 'schedule', id: 's2' }, { type: 'team', id: 't', role: 'manager' }, { type: 'team', id: 't' }, { type: 'role', role: 'lead' }] }] }]))
    .on('GET /on-call/schedules/s1/shifts', ok({ shifts: [shift(me, iso(-2), iso(3)), shift('u2', iso(5), iso(24), true), shift(me, iso(30), iso(40))], inactive: ['u2'] }))
    .on('GET /on-call/schedules/s2/shifts', ok({ shifts: [] }))
    .on('GET /on-call/schedules/s3/shifts', ok({ shifts: [] }))
    .on('GET /on-call/schedules/s1/overrides', page('overrides', [{ id: 'o1', scheduleId: 's1', userId: me, startTime: iso(-1), endTime: iso(2), reachable: false }, { id: 'o2', scheduleId: 's1', userId: 'u2', replaces: me, startTime: iso(5), endTime: iso(24), cancelledAt: iso(-1), reachable: true }, { id: 'o3', scheduleId: 's1', userId: 'u2', startTime: iso(-9), endTime: iso(-5), reachable: true }, { id: 'o4', scheduleId: 's1', userId: me, startTime: iso(50), endTime: iso(52), reachable: true }]))
    .on('GET /users/u2', ok({ user: person('u2', 'Bo') }))
    .on('GET /teams/t', ok({ team: { id: 't', name: 'Search' } }))
    .on('GET /users', ({ query }) => (query.get('cursor') === null ? page('users', [person('u2', 'Bo')], 'rest') : page('users', [person('u5', 'Cy')])))
  change(doors, me)
  const signed = await signIn(person(me, 'Ana', { roles }), doors)
  return { ...signed, me }
}

beforeEach(() => {
  history.replaceState(null, '', '/app/oncall')
})

describe('the on-call screen', () => {
  it('says on top that I am on call, then who is, my shifts, the week and the policies', async () => {
    await setUp()
    render(OnCall)
    expect(await screen.findByText('You are on call')).toBeTruthy()
    expect(screen.getByText('on Nights')).toBeTruthy()
    const now = screen.getByRole('region', { name: 'On call now' })
    const rows = within(now).getAllByRole('link')
    expect(rows.map((row) => within(row).queryByText('you') !== null)).toEqual([true, false, false])
    expect(within(now).getByText(/Nobody is planned/)).toBeTruthy()
    expect(within(now).getByText(/switched off/)).toBeTruthy()
    await waitFor(() => expect(within(screen.getByRole('region', { name: 'My next shifts' })).getAllByRole('listitem').length).toBe(2))
    // The picture is said as well.
    expect((await screen.findAllByRole('img')).some((one) => one.getAttribute('aria-label')?.includes('Bo Test (override)'))).toBe(true)
    expect(screen.getByText('<b>Payments</b>')).toBeTruthy()
    expect(screen.getByText('after 5 min without an answer')).toBeTruthy()
    expect(screen.getByText('Somebody who is gone')).toBeTruthy()
    expect(await screen.findByText('Managers of Search')).toBeTruthy()
    expect(screen.getByText('Everybody in Search')).toBeTruthy()
  })

  it('says when I am next, and shows all shifts when asked', async () => {
    await setUp((doors, me) => {
      doors.on('GET /on-call', page('onCall', []))
      doors.on('GET /on-call/schedules/s1/shifts', ok({ shifts: Array.from({ length: 7 }, (_, day) => shift(me, iso(24 * day + 10), iso(24 * day + 12))) }))
    })
    render(OnCall)
    expect(await screen.findByText(/Your next shift begins/)).toBeTruthy()
    const mine = screen.getByRole('region', { name: 'My next shifts' })
    await waitFor(() => expect(within(mine).queryAllByRole('listitem').length).toBe(5))
    await fireEvent.click(within(mine).getByRole('button', { name: 'Show all 7' }))
    expect(within(mine).getAllByRole('listitem').length).toBe(7)
  })

  it('has an error before anything was seen, and says how old it is after', async () => {
    const { doors } = await setUp((one) => one.on('GET /on-call', 'network'))
    const first = render(OnCall)
    expect(await screen.findByRole('alert')).toBeTruthy()
    doors.on('GET /on-call', page('onCall', [])).on('GET /on-call/schedules', page('schedules', []))
    await fireEvent.click(screen.getByRole('button', { name: 'Try again' }))
    expect(await screen.findByText('There is no schedule yet')).toBeTruthy()
    expect(screen.getByText('You are not on call now')).toBeTruthy()
    doors.on('GET /on-call', 'network')
    await waitFor(() => expect((screen.getByRole('button', { name: 'Refresh' }) as HTMLButtonElement).disabled).toBe(false))
    await fireEvent.click(screen.getByRole('button', { name: 'Refresh' }))
    expect(await screen.findByText(/As of/)).toBeTruthy()
    first.unmount()
  })
})

describe('the screen of a schedule', () => {
  it('shows its week as a picture whose days open, and as a table', async () => {
    await setUp()
    render(Schedule, { params: { id: 's1' } })
    const today = await screen.findByRole('button', { name: /^Today, Monday, March 2: .*Ana Test/ })
    await fireEvent.click(today)
    const sheet = await screen.findByRole('dialog', { name: 'Monday, March 2' })
    expect(within(sheet).getAllByText('Nobody').length).toBeGreaterThan(0)
    await fireEvent.click(screen.getByRole('button', { name: 'List' }))
    expect(screen.getByRole('table')).toBeTruthy()
    expect(screen.getByText(/gaps: .* without anybody/)).toBeTruthy()
    expect(screen.getAllByText('deactivated: is not paged').length).toBe(1)
  })

  it('goes to other weeks by buttons, and back to today', async () => {
    const { doors } = await setUp()
    render(Schedule, { params: { id: 's1' } })
    await screen.findByText('Week of Mon, Mar 2')
    await fireEvent.click(screen.getByRole('button', { name: 'The week after' }))
    await waitFor(() => expect(doors.last('GET /on-call/schedules/s1/shifts').query.get('from')).toBe('2026-03-08T15:00:00.000Z'))
    expect(screen.getByText('Week of Mon, Mar 9')).toBeTruthy()
    await fireEvent.click(screen.getByRole('button', { name: 'Today' }))
    expect(screen.getByText('Week of Mon, Mar 2')).toBeTruthy()
  })

  it('lists overrides, and cancels one after it has said what happens', async () => {
    const { doors, me } = await setUp((one) => one.on('DELETE /on-call/schedules/s1/overrides/o1', ok({ override: {} })))
    expect(me).toBeTruthy()
    render(Schedule, { params: { id: 's1' } })
    const list = await screen.findByRole('region', { name: 'Overrides' })
    await within(list).findByText('now')
    expect([within(list).queryByText('cancelled'), within(list).queryByText('ended'), within(list).queryByText(/No device/)].every(Boolean)).toBe(true)
    // Mine that run or come: what is over or another’s is not mine to cancel.
    const cancels = within(list).getAllByRole('button', { name: /^Cancel Ana/ })
    expect(cancels.length).toBe(2)
    await fireEvent.click(cancels[0]!)
    const sheet = await screen.findByRole('dialog', { name: 'Cancel this override?' })
    expect(within(sheet).getByText(/It ends now/)).toBeTruthy()
    await fireEvent.click(within(sheet).getAllByRole('button', { name: 'Cancel' })[0]!)
    await waitFor(() => expect(doors.sent('DELETE /on-call/schedules/s1/overrides/o1').length).toBe(1))
  })

  it('lets a lead put anybody in, and says that no device of theirs can be paged', async () => {
    const { doors } = await setUp((one) => one.on('POST /on-call/schedules/s1/overrides', ok({ override: { id: 'o9', userId: 'u5', reachable: false } })), ['lead'])
    render(Schedule, { params: { id: 's1' } })
    await fireEvent.click(await screen.findByRole('button', { name: 'New override' }))
    const sheet = await screen.findByRole('dialog', { name: 'New override' })
    await within(sheet).findByRole('option', { name: 'Cy Test' })
    await fireEvent.change(within(sheet).getByLabelText('Who takes over'), { target: { value: 'u5' } })
    await within(sheet).findByText('What changes')
    await fireEvent.click(within(sheet).getByRole('button', { name: 'New override' }))
    await waitFor(() => expect(doors.sent('POST /on-call/schedules/s1/overrides').length).toBe(1))
    expect(doors.sent('POST /on-call/schedules/s1/overrides')[0]).toMatchObject({ userId: 'u5' })
  })

  it('is not there, or not now', async () => {
    await setUp((one) => one.on('GET /on-call/schedules/s9', refused(404, 'NOT_FOUND')))
    const gone = render(Schedule, { params: { id: 's9' } })
    expect(await screen.findByText('There is no such schedule')).toBeTruthy()
    gone.unmount()
    await setUp((one) => one.on('GET /on-call/schedules/s1', 'network'))
    render(Schedule, { params: { id: 's1' } })
    expect(await screen.findByText('Pager cannot be reached.')).toBeTruthy()
    expect(app.isOnline).toBe(true)
  })
})

describe('a swipe', () => {
  it('goes sideways where it is long and flat, by a finger', () => {
    const node = document.body.appendChild(document.createElement('div'))
    const moved = vi.fn()
    const stop = swipe(moved)(node)
    const drag = (x: number, y: number, pointerType = 'touch') => {
      const event = (type: string, at: object) => node.dispatchEvent(Object.assign(new Event(type), { isPrimary: true, pointerType, ...at }))
      event('pointerdown', { clientX: 200, clientY: 200 })
      event('pointerup', { clientX: 200 + x, clientY: 200 + y })
    }
    drag(-100, 5)
    drag(100, 5)
    drag(-30, 0)
    drag(-100, 90)
    drag(-100, 0, 'mouse')
    expect(moved.mock.calls).toEqual([[1], [-1]])
    node.style.direction = 'rtl'
    drag(-100, 0)
    expect(moved).toHaveBeenLastCalledWith(-1)
    node.dispatchEvent(Object.assign(new Event('pointerdown'), { isPrimary: true, pointerType: 'touch', clientX: 0, clientY: 0 }))
    node.dispatchEvent(new Event('pointercancel'))
    node.dispatchEvent(Object.assign(new Event('pointerup'), { clientX: -200, clientY: 0 }))
    stop()
    drag(-100, 0)
    expect(moved).toHaveBeenCalledTimes(3)
  })
})

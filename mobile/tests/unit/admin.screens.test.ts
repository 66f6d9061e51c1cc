import { fireEvent, render, screen, waitFor, within } from '@testing-library/svelte'
import { beforeEach, describe, expect, it, vi } from 'vitest'
import { app } from '../../src/core/app.svelte'
import { router } from '../../src/core/navigation'
import Analytics from '../../src/features/admin/Analytics.svelte'
import Integration from '../../src/features/admin/Integration.svelte'
import Invites from '../../src/features/admin/Invites.svelte'
import Menu from '../../src/features/admin/Menu.svelte'
import People from '../../src/features/admin/People.svelte'
import Person from '../../src/features/admin/Person.svelte'
import PolicyEditor from '../../src/features/admin/PolicyEditor.svelte'
import Review from '../../src/features/admin/Review.svelte'
import Reviews from '../../src/features/admin/Reviews.svelte'
import ScheduleEditor from '../../src/features/admin/ScheduleEditor.svelte'
import Schedules from '../../src/features/admin/Schedules.svelte'
import System from '../../src/features/admin/System.svelte'
import Team from '../../src/features/admin/Team.svelte'
import Teams from '../../src/features/admin/Teams.svelte'
import { toasts } from '../../src/ui/toasts.svelte'
import { Doors, page, person, schedule, signIn } from './signed'
import { incident, ok, refused, START } from './tools'

let doors: Doors
let times = 0
const at = new Date(START).toISOString()

async function as(role: 'lead' | 'admin') {
  times += 1
  doors = new Doors().on('GET /teams', page('teams', [{ id: 't1', name: 'Payments', description: null, members: 1, version: 1 }])).on('GET /on-call/schedules', page('schedules', [schedule('s1', { teamId: 't1', isActive: false, inactive: ['u2'] })]))
  doors.on('GET /escalation/policies', page('policies', [{ id: 'p1', name: 'Urgent' }]))
  await signIn(person(`boss${times}`, 'Boss', { roles: ['user', role] }), doors)
}
const sheet = (name: string) => screen.findByRole('dialog', { name })
const press = async (inside: HTMLElement, name: string | RegExp) => fireEvent.click(await within(inside).findByRole('button', { name }))
beforeEach(() => as('admin'))

describe('the menu', () => {
  it('has places for admins alone', async () => {
    const first = render(Menu)
    expect(screen.getAllByRole('link').length).toBe(9)
    first.unmount()
    await as('lead')
    render(Menu)
    expect([screen.getAllByRole('link').length, screen.queryByText('Invites')]).toEqual([7, null])
  })
})

describe('people', () => {
  it('are found by a part of their name, and say whether a page reaches them', async () => {
    doors.on('GET /users', ({ query }) => page('users', query.get('q') === null ? [person('u1', '<b>Ana</b>', { roles: ['user', 'lead'], reachable: false }), person('u2', 'Bo', { isActive: false })] : []))
    render(People)
    expect(await screen.findByText('<b>Ana</b> Test')).toBeTruthy()
    expect([screen.getByText('No device to page'), screen.getByText('Deactivated'), screen.getByText('Lead')].length).toBe(3)
    await fireEvent.input(screen.getByLabelText('Search by name or e-mail address'), { target: { value: 'zz' } })
    expect(await screen.findByText('Nobody was found')).toBeTruthy()
  })

  it('are changed, deactivated and helped, after it was said what happens', async () => {
    const ana = person('u1', 'Ana', { phone: '+4930123456' })
    doors.on('GET /users/u1', ok({ user: ana }, { ETag: '"1"' }))
    doors.on('GET /users/u1/sessions', page('sessions', [{ id: 'x1', deviceId: 'd1', deviceName: 'Phone', lastUsedAt: at, lastUsedFrom: '10.0.0.0/24', isCurrent: false }, { id: 'x2', deviceId: 'd2', isCurrent: true }]))
    doors.on('PATCH /users/u1', refused(400, 'VALIDATION_ERROR', { field: 'phone', reason: 'must be a phone number' }))
    render(Person, { params: { id: 'u1' } })
    const phone = await screen.findByLabelText('Telephone')
    await fireEvent.input(phone, { target: { value: '12' } })
    await fireEvent.click(screen.getByRole('button', { name: 'Save' }))
    expect((await screen.findByText('must be a phone number')).getAttribute('role')).toBe('alert')
    doors.on('PATCH /users/u1', ok({ user: { ...ana, roles: ['user', 'lead'] } }, { ETag: '"2"' }))
    await fireEvent.click(screen.getByLabelText(/^Lead/))
    await fireEvent.click(screen.getByRole('button', { name: 'Save' }))
    await waitFor(() => expect(doors.sent('PATCH /users/u1').at(-1)).toMatchObject({ roles: ['user', 'lead'], phone: '12' }))
    doors.on('POST /users/u1/deactivate', ok({ user: { ...ana, isActive: false } }, { ETag: '"3"' }))
    await fireEvent.click(screen.getByRole('button', { name: 'Deactivate' }))
    const asked = await sheet('Deactivate Ana Test?')
    expect(within(asked).getByText(/is not paged/)).toBeTruthy()
    await press(asked, 'Deactivate')
    expect(await screen.findByRole('button', { name: 'Reactivate' })).toBeTruthy()
    expect(doors.last('POST /users/u1/deactivate').headers.get('If-Match')).toBe('"2"')
    doors.on('POST /users/u1/password/reset-link', ok({ link: { url: 'https://pager.test/app/reset#once' } }))
    await fireEvent.click(screen.getByRole('button', { name: 'Link for a new password' }))
    await press(await sheet('A new password for Ana Test?'), 'Link for a new password')
    expect(await screen.findByText('https://pager.test/app/reset#once')).toBeTruthy()
    for (const [button, title, door] of [
      ['Unlock', 'Unlock Ana Test?', 'POST /users/u1/unlock'],
      ['Take the second factor away', 'Take the second factor of Ana Test away?', 'DELETE /users/u1/totp'],
      ['Sign out Phone', 'Sign out', 'DELETE /users/u1/sessions/x1'],
      ['Lost Phone', 'Lost', 'DELETE /users/u1/devices/d1'],
      ['Sign out everywhere', 'Sign out everywhere', 'DELETE /users/u1/sessions'],
    ] as const) {
      doors.on(door, ok({}))
      await fireEvent.click((await screen.findAllByRole('button', { name: button }))[0]!)
      const open = await sheet(title)
      await fireEvent.click(within(open).getAllByRole('button').find((one) => one.textContent !== '✕')!)
      await waitFor(() => expect([doors.sent(door).length, screen.queryByRole('dialog', { name: title })]).toEqual([1, null]))
    }
  })

  it('are gone, or away', async () => {
    const gone = render(Person, { params: { id: 'u9' } })
    expect(await screen.findByText('This is not there')).toBeTruthy()
    gone.unmount()
    doors.on('GET /users/u8', refused(503, 'UNAVAILABLE'))
    render(Person, { params: { id: 'u8' } })
    expect(await screen.findByText('A part of Pager is away at the moment.')).toBeTruthy()
  })
})

describe('invites', () => {
  const invite = { id: 'n1', email: 'eva@pager.test', roles: ['user', 'lead'], teamIds: ['t1'], status: 'open', createdAt: at, expiresAt: at }

  it('are made with a link that is shown once, sent again and withdrawn', async () => {
    doors.on('GET /invites', page('invites', [invite, { ...invite, id: 'n2', email: 'old@pager.test', status: 'accepted' }]))
    doors.on('POST /invites', ok({ invite: { ...invite, id: 'n3', email: 'new@pager.test', link: { url: 'https://pager.test/app/register#once', expiresAt: at } } }))
    render(Invites)
    expect((await screen.findAllByRole('button', { name: /^Withdraw/ })).length).toBe(1)
    await fireEvent.click(screen.getByRole('button', { name: 'Invite somebody' }))
    const form = await sheet('Invite somebody')
    await fireEvent.input(within(form).getByLabelText('E-mail address'), { target: { value: ' new@pager.test ' } })
    await fireEvent.change(within(form).getByLabelText('Roles'), { target: { value: 'lead' } })
    await fireEvent.click(within(form).getByLabelText('Payments'))
    await press(form, 'Invite somebody')
    expect(await screen.findByText('https://pager.test/app/register#once')).toBeTruthy()
    expect(doors.sent('POST /invites')).toEqual([{ email: 'new@pager.test', roles: ['user', 'lead'], teamIds: ['t1'] }])
    await press(await sheet('The invitation’s link'), 'I have kept it')
    await waitFor(() => expect(screen.queryByText('https://pager.test/app/register#once')).toBeNull())
    doors.on('POST /invites/n1/resend', ok({ invite }))
    await fireEvent.click(screen.getByRole('button', { name: 'Send again eva@pager.test' }))
    await waitFor(() => expect(toasts.shown?.text).toBe('An invitation was mailed to eva@pager.test'))
    doors.on('POST /invites/n1/resend', refused(409, 'CONFLICT'))
    await fireEvent.click(screen.getByRole('button', { name: 'Send again eva@pager.test' }))
    await waitFor(() => expect(toasts.shown?.kind).toBe('error'))
    doors.on('DELETE /invites/n1', ok({}))
    await fireEvent.click(screen.getByRole('button', { name: 'Withdraw eva@pager.test' }))
    await press(await sheet('Withdraw this invite?'), 'Withdraw')
    await waitFor(() => expect(doors.sent('DELETE /invites/n1').length).toBe(1))
  })

  it('say what is missing to who may not', async () => {
    doors.on('GET /invites', refused(403, 'FORBIDDEN', { reason: 'this needs the role admin' }))
    render(Invites)
    expect(await screen.findByText('this needs the role admin')).toBeTruthy()
  })
})

describe('teams', () => {
  it('are listed and made', async () => {
    const go = vi.spyOn(router, 'go').mockImplementation(() => {})
    doors.on('POST /teams', ok({ team: { id: 't9' } }))
    render(Teams)
    expect(await screen.findByText('1 member')).toBeTruthy()
    await fireEvent.click(screen.getByRole('button', { name: 'New team' }))
    const form = await sheet('New team')
    await fireEvent.input(within(form).getByLabelText('Name'), { target: { value: 'Search' } })
    await press(form, 'New team')
    await waitFor(() => expect(go).toHaveBeenCalledWith('/admin/teams/t9'))
    go.mockRestore()
  })

  it('have members who come, go and manage', async () => {
    doors.on('GET /teams/t1', ok({ team: { id: 't1', name: 'Payments', description: 'Money', version: 1 } }, { ETag: '"1"' }))
    doors.on('GET /teams/t1/members', page('members', [{ userId: 'u1', firstName: 'Ana', lastName: 'A', role: 'member', isActive: true, reachable: false }]))
    doors.on('GET /users', page('users', [person('u1', 'Ana'), person('u2', 'Bo')]))
    doors.on('POST /teams/t1/members', ok({})).on('PATCH /teams/t1/members/u1', refused(403, 'FORBIDDEN', { reason: 'only its managers may' })).on('DELETE /teams/t1/members/u1', ok({}))
    render(Team, { params: { id: 't1' } })
    await screen.findByText('Ana A')
    await fireEvent.click(screen.getByRole('button', { name: 'Add somebody' }))
    const picker = await sheet('Add somebody')
    await press(picker, /Bo Test/)
    await waitFor(() => expect(doors.sent('POST /teams/t1/members')).toEqual([{ userId: 'u2', role: 'member' }]))
    await fireEvent.click(screen.getByRole('button', { name: /^Make manager/ }))
    await waitFor(() => expect(toasts.shown?.text).toBe('You may not do this: only its managers may'))
    await fireEvent.click(screen.getByRole('button', { name: 'Remove Ana A' }))
    const asked = await sheet('Take somebody out?')
    expect(within(asked).getByText(/Ana A is not in Payments any more/)).toBeTruthy()
    await press(asked, 'Remove')
    await waitFor(() => expect(doors.sent('DELETE /teams/t1/members/u1').length).toBe(1))
    doors.on('DELETE /teams/t1', refused(409, 'CONFLICT'))
    await fireEvent.click(screen.getByRole('button', { name: 'Delete' }))
    await press(await sheet('Delete Payments?'), 'Delete')
    expect(await screen.findByText('CONFLICT it is')).toBeTruthy()
  })
})

describe('schedules and policies', () => {
  it('are listed with what is wrong with them', async () => {
    render(Schedules)
    expect(await screen.findByText('Somebody on it is deactivated')).toBeTruthy()
    expect([screen.getByText('1 layer'), screen.getByText('Switched off')].length).toBe(2)
  })

  it('have a preview, name the field at fault, and show what somebody else has changed', async () => {
    doors.on('GET /on-call/schedules/s1', ok({ schedule: schedule('s1') }, { ETag: '"3"' })).on('PATCH /on-call/schedules/s1', refused(412, 'PRECONDITION_FAILED'))
    render(ScheduleEditor, { params: { id: 's1' } })
    const name = await screen.findByLabelText('Name')
    expect(screen.getAllByRole('group', { name: '' }).length).toBeGreaterThanOrEqual(14)
    await fireEvent.input(name, { target: { value: '' } })
    await fireEvent.click(screen.getByRole('button', { name: 'Save' }))
    expect((name as HTMLInputElement).getAttribute('aria-invalid')).toBe('true')
    await fireEvent.input(name, { target: { value: 'Mine' } })
    await fireEvent.click(screen.getByRole('button', { name: 'Only at certain hours' }))
    expect(screen.getByRole('group', { name: 'Hours 1' })).toBeTruthy()
    await fireEvent.click(screen.getByRole('button', { name: 'Save' }))
    await fireEvent.click(await screen.findByRole('button', { name: 'Show what there is now' }))
    await waitFor(() => expect((screen.getByLabelText('Name') as HTMLInputElement).value).toBe('Schedule s1'))
  })

  it('have levels whose targets are people, schedules, teams and roles', async () => {
    const go = vi.spyOn(router, 'go').mockImplementation(() => {})
    doors.on('GET /users', page('users', [person('u2', 'Bo')])).on('POST /escalation/policies', ok({ policy: { id: 'p9' } }))
    render(PolicyEditor, { params: { id: 'new' } })
    await fireEvent.click(screen.getByRole('button', { name: 'Save' }))
    expect(screen.getAllByText(/Choose who is paged|This is needed/).length).toBe(2)
    await fireEvent.input(screen.getByLabelText('Name'), { target: { value: 'P' } })
    await fireEvent.change(screen.getByLabelText('Pages'), { target: { value: 'user' } })
    await fireEvent.click(screen.getByRole('button', { name: 'Choose a person' }))
    await press(await sheet('Choose a person'), /Bo Test/)
    await fireEvent.click(screen.getByRole('button', { name: 'Save' }))
    await waitFor(() => expect(go).toHaveBeenCalled())
    expect(doors.sent('POST /escalation/policies')[0]).toMatchObject({ levels: [{ targets: [{ type: 'user', id: 'u2' }] }] })
    go.mockRestore()
  })
})

describe('an integration', () => {
  it('shows its new key once, and revokes one after it has said what happens', async () => {
    doors.on('GET /integrations/i1', ok({ integration: { id: 'i1', name: 'Prometheus', type: 'alertmanager', keys: [{ id: 'k1', hint: 'aB9', createdAt: at }] } }, { ETag: '"1"' }))
    doors.on('POST /integrations/i1/keys', ok({ key: { id: 'k2', key: 'the-secret' } })).on('DELETE /integrations/i1/keys/k1', ok({}))
    const copied = vi.fn().mockResolvedValueOnce(undefined).mockRejectedValueOnce(new Error('not allowed'))
    Object.defineProperty(navigator, 'clipboard', { value: { writeText: copied }, configurable: true })
    render(Integration, { params: { id: 'i1' } })
    await fireEvent.click(await screen.findByRole('button', { name: 'Make a second key to change over to' }))
    const shown = await sheet('Your routing key')
    expect(within(shown).getByText('the-secret')).toBeTruthy()
    await press(shown, 'Copy')
    await press(shown, 'Copy')
    expect(copied).toHaveBeenCalledWith('the-secret')
    await press(shown, 'I have kept it')
    await waitFor(() => expect(screen.queryByText('the-secret')).toBeNull())
    await fireEvent.click(screen.getByRole('button', { name: 'Revoke aB9' }))
    await press(await sheet('Revoke this key?'), 'Revoke')
    await waitFor(() => expect(doors.sent('DELETE /integrations/i1/keys/k1').length).toBe(1))
  })
})

describe('numbers, reviews and the system', () => {
  it('are bars that are tables, and what is refused says so', async () => {
    doors.on('GET /analytics/summary', ok({ incidents: 3, answered: 2, mtta: 90, byPriority: [{ priority: 'critical', incidents: 3, mtta: 90 }], byHour: [{ hour: 3, incidents: 3 }] }))
    doors.on('GET /analytics/response', ok({ levels: [{ level: 1, fired: 3, answered: 2, medianSeconds: 61 }], responders: [{ userId: 'x', erased: true, acknowledged: 2, resolved: 1 }] }))
    doors.on('GET /analytics/load', refused(403, 'FORBIDDEN', { reason: 'only managers' })).on('GET /analytics/noise', ok({ keys: [{ dedupKey: 'k', title: 'Disk', alerts: 9, incidents: 2, untouched: 1 }] }))
    render(Analytics)
    expect(await screen.findByRole('table', { name: 'By priority' })).toBeTruthy()
    expect([await screen.findByText('You may not do this: only managers'), screen.getByText('Somebody who was erased'), screen.getByText('Disk')].length).toBe(3)
    expect(screen.getByRole('img', { name: /3:00 3/ })).toBeTruthy()
    const before = doors.asked.length
    await fireEvent.change(screen.getByLabelText('Period'), { target: { value: '7' } })
    await waitFor(() => expect(doors.asked.length).toBeGreaterThan(before))
  })

  it('are of incidents that are over, begun, read with names, and published', async () => {
    doors.on('GET /incidents', page('incidents', [incident('n1', { status: 'resolved' })]))
    const list = render(Reviews)
    expect(await screen.findByText('Database failure')).toBeTruthy()
    list.unmount()
    const review = { id: 'r1', incidentId: 'n1', version: 1, text: '# What <i>happened</i>', actionItems: [], published: false, updatedAt: at }
    doors.on('POST /incidents/n1/review', ok({ review }, { ETag: '"1"' })).on('PATCH /incidents/n1/review', ok({ review: { ...review, published: true } }, { ETag: '"2"' }))
    render(Review, { params: { id: 'n1' } })
    await fireEvent.click(await screen.findByRole('button', { name: 'Begin a review' }))
    expect((await screen.findByText('What <i>happened</i>')).closest('h2')).toBeTruthy()
    await fireEvent.click(screen.getByRole('button', { name: 'Edit' }))
    expect(screen.getByLabelText('What happened')).toBeTruthy()
    await fireEvent.click(screen.getByRole('button', { name: 'Publish' }))
    await press(await sheet('Publish this review?'), 'Publish')
    expect(await screen.findByRole('button', { name: 'Make it a draft again' })).toBeTruthy()
  })

  it('begin and end maintenance, and switch features after asking', async () => {
    doors.on('GET /admin/maintenance', ok({ maintenance: { enabled: false } })).on('GET /admin/features', ok({ features: [{ flag: 'bulk', switches: 'changes of many', enabled: true, percentage: 50, userIds: ['u1'] }, { flag: 'stream', switches: 'live', enabled: false, byEnvironment: true }] }))
    doors.on('POST /admin/maintenance', ok({ maintenance: { enabled: true, message: 'Wait', until: at } })).on('DELETE /admin/maintenance', ok({ maintenance: { enabled: false } }))
    doors.on('PUT /admin/features/bulk', ok({ feature: { flag: 'bulk', switches: 'changes of many', enabled: false } }))
    render(System)
    await fireEvent.input(await screen.findByLabelText('What people read'), { target: { value: 'Wait' } })
    await fireEvent.click(screen.getByRole('button', { name: 'Begin maintenance' }))
    await press(await sheet('Begin maintenance'), 'Begin maintenance')
    await fireEvent.click(await screen.findByRole('button', { name: 'End maintenance' }))
    expect(await screen.findByLabelText('What people read')).toBeTruthy()
    expect(doors.sent('POST /admin/maintenance')).toEqual([{ enabled: true, message: 'Wait', until: null }])
    expect((screen.getByRole('button', { name: 'Switch on stream' }) as HTMLButtonElement).disabled).toBe(true)
    await fireEvent.click(screen.getByRole('button', { name: 'Switch off bulk' }))
    await press(await sheet('Switch bulk off for everybody?'), 'Switch off')
    await waitFor(() => expect(doors.sent('PUT /admin/features/bulk')).toEqual([{ enabled: false, percentage: null, userIds: ['u1'] }]))
    expect(app.isAdmin).toBe(true)
  })
})

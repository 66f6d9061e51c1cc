/** The specification's critical journeys, by its names for them. The one of pushes is in `push.test.ts`. */

import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { auth } from '../../src/messages/en/auth'
import { critical } from '../../src/messages/en/critical'
import { incidents } from '../../src/messages/en/incidents'
import { acknowledgements, alert, asAdmin, audit, becomes, call, incident, incidentCalled, integration, openIncident, PASSWORD, person, tokenOf, until } from './api'
import { launch, onPhone, redScreen, seen, signIn, type Phone } from './phone'

let browser: Browser
beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser?.close())

const on = (work: (phone: Phone) => Promise<void>) => onPhone(browser, work)

describe('1. User registration and login', () => {
  test('by an invite, then signed out, then signed in', async () => {
    const email = `newcomer-${process.pid}@pager.local`
    const { invite } = await asAdmin<{ invite: { link: { url: string } } }>('POST', '/invites', { email, roles: ['user'] })
    await on(async (one) => {
      const { page } = one
      await page.goto(invite.link.url)
      await page.getByLabel(auth['auth.firstName']).fill('Nora')
      await page.getByLabel(auth['auth.lastName']).fill('Newcomer')
      expect(page.url(), 'the token leaves the address').not.toContain('#')
      await page.getByLabel(auth['auth.newPassword']).fill(PASSWORD)
      await page.getByRole('button', { name: auth['auth.register'] }).tap()
      await seen(page.getByRole('heading', { level: 1, name: incidents['incidents.title'] }))
      expect((await call<{ user: { lastName: string } }>('GET', '/users/me', undefined, await tokenOf({ email, password: PASSWORD }))).user.lastName).toBe('Newcomer')
    })
    await on(async (one) => {
      await signIn(one, { email, password: PASSWORD })
      await seen(one.page.getByRole('heading', { level: 1, name: incidents['incidents.title'] }))
    })
  })

  test('an invite opens one account, and a wrong password none', async () => {
    const email = `once-${process.pid}@pager.local`
    const { invite } = await asAdmin<{ invite: { link: { url: string } } }>('POST', '/invites', { email, roles: ['user'] })
    const join = async ({ page }: Phone, password: string) => {
      await page.goto(invite.link.url)
      await page.getByLabel(auth['auth.firstName']).fill('Otto')
      await page.getByLabel(auth['auth.lastName']).fill('Once')
      await page.getByLabel(auth['auth.newPassword']).fill(password)
      await page.getByRole('button', { name: auth['auth.register'] }).tap()
    }
    await on(async (one) => {
      await join(one, PASSWORD)
      await seen(one.page.getByRole('heading', { level: 1, name: incidents['incidents.title'] }))
    })
    await on(async (one) => {
      await join(one, `Another-${PASSWORD}`)
      await seen(one.page.getByRole('alert'))
      await one.page.goto(`${one.base}/app/sign-in`)
      await one.page.getByLabel(auth['auth.email']).fill(email)
      await one.page.getByLabel(auth['auth.password'], { exact: true }).fill('Wrong-Horse-7-Battery')
      await one.page.getByRole('button', { name: auth['auth.signIn'], exact: true }).tap()
      await seen(one.page.getByText(auth['auth.wrong']))
      expect(await one.page.getByLabel(auth['auth.email']).inputValue()).toBe(email)
    })
  })
})

test('2. Incident creation and assignment', async () => {
  const anna = await person('Anna', 'Assigned')
  const lead = await person('Lena', 'Lead', ['lead'])
  await on(async (one) => {
    const { page } = one
    const title = `Shelf 7 leans ${process.pid}`
    await signIn(one, lead)
    await page.getByRole('link', { name: incidents['incidents.new'] }).tap()
    await page.getByRole('button', { name: incidents['incidents.create'] }).tap()
    await seen(page.getByText(incidents['incidents.titleNeeded']))
    await page.getByLabel(incidents['incidents.field.title']).fill(title)
    await page.getByRole('radio', { name: 'High' }).check()
    await page.getByRole('button', { name: incidents['incidents.whoeverIsOnCall'] }).tap()
    const people = page.getByRole('dialog')
    await people.getByLabel(incidents['incidents.findPeople']).fill(anna.name)
    await people.getByText(anna.name).first().tap()
    await seen(page.getByRole('button', { name: anna.name }))
    await page.getByRole('button', { name: incidents['incidents.create'] }).tap()
    await seen(page.getByRole('heading', { level: 1, name: title }))
    const made = await incidentCalled(title)
    expect([made.assignedTo, made.priority, made.createdBy]).toEqual([anna.id, 'high', lead.id])

    // To somebody else, from its screen.
    const bert = await person('Bert', 'Better')
    await page.getByRole('button', { name: incidents['action.reassign'], exact: true }).tap()
    await people.getByLabel(incidents['incidents.findPeople']).fill(bert.name)
    await people.getByText(bert.name).first().tap()
    await people.getByRole('button', { name: incidents['incidents.do.reassign'] }).tap()
    await until(() => incident(made.id), (now) => now.assignedTo === bert.id, 'it is reassigned')
  })
})

test('3. Incident acknowledgment and resolution', async () => {
  const anna = await person('Anna', 'Acker')
  await on(async (one) => {
    const { page } = one
    await signIn(one, anna)
    await seen(page.getByRole('heading', { level: 1, name: incidents['incidents.title'] }))
    const { id } = await openIncident(`Freezer warm ${process.pid}`, { priority: 'high', assignedTo: anna.id, metadata: { location: 'Hall 3' } })
    await page.getByRole('link', { name: /Freezer warm/ }).tap()
    await seen(page.getByText('Hall 3'))
    await page.getByRole('button', { name: incidents['action.acknowledge'], exact: true }).tap()
    const taken = await becomes(id, 'acknowledged')
    expect(taken.acknowledgedBy).toBe(anna.id)
    await page.getByLabel(incidents['incidents.note']).fill('The door was open.')
    await page.getByRole('button', { name: incidents['action.notes'] }).tap()
    await seen(page.getByRole('listitem').getByText('The door was open.'))
    await page.getByRole('button', { name: incidents['action.resolve'], exact: true }).tap()
    expect((await becomes(id, 'resolved')).resolvedBy).toBe(anna.id)
    await seen(page.getByRole('button', { name: incidents['action.reopen'] }))
    const done = (await audit(id)).filter(({ actor }) => actor.id === anna.id).map(({ action }) => action)
    expect(done).toEqual(['IncidentAcknowledged', 'NoteAdded', 'IncidentResolved'])
  })
})

test('4. Escalation triggering and notification', async () => {
  const [first, second] = [await person('Fred', 'First'), await person('Sara', 'Second')]
  // Three seconds until somebody else is woken, and then ten minutes.
  const { key } = await integration('escalates', [{ timeoutMinutes: 0.05, people: [first] }, { timeoutMinutes: 10, people: [second] }])
  await on(async (asleep) => {
    await on(async (next) => {
      await signIn(asleep, first)
      await signIn(next, second)
      await seen(next.page.getByRole('heading', { level: 1, name: incidents['incidents.title'] }))
      const title = `Reactor too hot ${process.pid}`
      await alert(title, key, { description: 'Core at 900 degrees.', metadata: 'location=Hall 9' })
      await seen(redScreen(asleep.page))
      await seen(redScreen(next.page), 60_000)
      expect(await next.page.getByRole('heading', { level: 1 }).textContent()).toBe(title)
      await seen(next.page.getByText('Core at 900 degrees.'))
      await seen(next.page.getByText('Hall 9'))
      expect(await next.page.getByRole('timer').textContent()).toMatch(/^(10:00|9:[0-5]\d)$/)
      await next.page.getByRole('button', { name: critical['critical.ack'] }).tap()
      const { id } = await incidentCalled(title)
      expect((await becomes(id, 'acknowledged')).acknowledgedBy).toBe(second.id)
      expect(await acknowledgements(id)).toBe(1)
      // Whoever slept is told that it is over for them.
      await seen(asleep.page.getByText(second.name).first())
    })
  })
})

test('An alert that comes through the API is a red screen, and one tap answers it', async () => {
  const anna = await person('Anna', 'Awake')
  const { key } = await integration('critical', [{ timeoutMinutes: 15, people: [anna] }])
  await on(async (one) => {
    await signIn(one, anna, '/settings')
    await seen(one.page.getByRole('navigation'))
    const title = `Database is down ${process.pid}`
    await alert(title, key)
    await seen(redScreen(one.page))
    const circle = await one.page.locator('.circle').boundingBox()
    const button = one.page.getByRole('button', { name: critical['critical.ack'] })
    const lead = one.page.getByText(critical['critical.callLead'])
    const heights = [(await button.boundingBox())?.height, (await lead.boundingBox())?.height]
    expect([circle?.width, circle?.height, ...heights], 'as the specification has them').toEqual([120, 120, 60, 50])
    await button.tap()
    const { id } = await incidentCalled(title)
    expect((await becomes(id, 'acknowledged')).acknowledgedBy).toBe(anna.id)
    await seen(one.page.getByText(critical['critical.mine']))
    await one.page.waitForURL(/\/app\/incidents\//)
    expect(await acknowledgements(id)).toBe(1)
  })
})

test('What is not critical, or pages somebody else, takes no screen away', async () => {
  const [anna, bert] = [await person('Anna', 'Asleep'), await person('Bert', 'Busy')]
  await on(async (one) => {
    await signIn(one, anna)
    await seen(one.page.getByRole('heading', { level: 1, name: incidents['incidents.title'] }))
    const high = await openIncident(`Paper is out ${process.pid}`, { priority: 'high', assignedTo: anna.id })
    await seen(one.page.getByRole('status').getByText(high.title))
    await openIncident(`Of Bert ${process.pid}`, { assignedTo: bert.id })
    await seen(one.page.getByRole('link', { name: /Of Bert/ }))
    expect(await redScreen(one.page).count()).toBe(0)
  })
})

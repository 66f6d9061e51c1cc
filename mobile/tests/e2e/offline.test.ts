/** Without a network, with a session that is over, and with others who were faster: what somebody did is sent once, or they read why not. */

import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { auth } from '../../src/messages/en/auth'
import { core } from '../../src/messages/en/core'
import { critical } from '../../src/messages/en/critical'
import { incidents } from '../../src/messages/en/incidents'
import { acknowledgements, audit, becomes, call, endBrowserSessions, incident, openIncident, person, tokenOf, until } from './api'
import { fillIn, isKept, launch, Line, onPhone, redScreen, seen, signIn, stopTheClock, swipe } from './phone'

let browser: Browser
beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser?.close())

const card = (title: string) => ({ hasText: title })
const WAITS = core['offline.waiting.one'].replace('{count}', '1')

/** A phone whose network can be taken away. */
async function onLine(work: (at: Parameters<Parameters<typeof onPhone>[1]>[0], line: Line) => Promise<void>): Promise<void> {
  const line = await Line.to()
  try {
    await onPhone(browser, (one) => work(one, line), { base: line.base })
  } finally {
    await line.cut()
  }
}

test('Offline, a swipe, a reload, online: exactly one acknowledgement', async () => {
  const anna = await person('Anna', 'Offline')
  const { id, title } = await openIncident(`Pump 3 stands ${process.pid}`, { priority: 'high', assignedTo: anna.id })
  await onLine(async (one, line) => {
    const { page } = one
    await signIn(one, anna)
    const swiped = page.locator('article', card(title))
    await seen(swiped)
    await isKept(page)
    await line.cut()
    await swipe(page, swiped)
    await seen(page.getByText(WAITS))
    await page.reload()
    // From what is kept here, and with what waits.
    await seen(swiped)
    await seen(page.getByText(WAITS))
    await seen(swiped.getByText(core['outbox.queued']))
    expect((await incident(id)).acknowledgedBy ?? null).toBeNull()
    await line.mend()
    expect((await becomes(id, 'acknowledged')).acknowledgedBy).toBe(anna.id)
    await page.getByText(WAITS).waitFor({ state: 'detached' })
    await page.reload()
    await seen(page.getByRole('heading', { name: incidents['incidents.group.taken'] }))
    expect(await acknowledgements(id)).toBe(1)
  })
})

test('The same where the browser says that it is offline, and back', async () => {
  const anna = await person('Anna', 'Airplane')
  const { id, title } = await openIncident(`Pump 4 stands ${process.pid}`, { priority: 'high', assignedTo: anna.id })
  await onPhone(browser, async (one) => {
    const { page, context } = one
    await signIn(one, anna)
    await seen(page.locator('article', card(title)))
    await context.setOffline(true)
    await swipe(page, page.locator('article', card(title)))
    await seen(page.getByText(WAITS))
    await context.setOffline(false)
    await becomes(id, 'acknowledged')
    expect(await acknowledgements(id)).toBe(1)
  })
})

test('A swipe that is taken back in time was never sent', async () => {
  const anna = await person('Anna', 'Undoes')
  const { id, title } = await openIncident(`Pump 5 stands ${process.pid}`, { priority: 'high', assignedTo: anna.id })
  await onPhone(browser, async (one) => {
    const { page } = one
    await signIn(one, anna)
    await seen(page.locator('article', card(title)))
    // The five seconds do not pass, however slow this machine is.
    await stopTheClock(page)
    await swipe(page, page.locator('article', card(title)))
    const undo = page.locator('article', card(title)).getByRole('button', { name: incidents['incidents.undo'] })
    await seen(undo)
    // A tap soon after a swipe may be taken by the browser for the end of it: whoever sees that nothing has happened taps again.
    await until(
      async () => {
        if (await undo.isVisible()) await undo.tap()
        return page.getByText(incidents['incidents.undone']).isVisible()
      },
      (isUndone) => isUndone,
      'it is undone',
    )
    await page.reload()
    await seen(page.locator('article', card(title)))
    expect(await page.evaluate(() => new Promise<number>((done) => {
      const asked = indexedDB.open('pager')
      asked.onsuccess = () => {
        const count = asked.result.transaction('outbox').objectStore('outbox').count()
        count.onsuccess = () => done(count.result)
      }
    }))).toBe(0)
    expect(await acknowledgements(id)).toBe(0)
  })
})

test('The red screen without a network says what is kept, and acknowledges once it can', async () => {
  const anna = await person('Anna', 'Tunnel')
  await onLine(async (one, line) => {
    const { page } = one
    await signIn(one, anna)
    await isKept(page)
    const { id, title } = await openIncident(`Train stands ${process.pid}`, { assignedTo: anna.id })
    await seen(redScreen(page))
    await line.cut()
    await page.getByRole('button', { name: critical['critical.ack'] }).tap()
    await seen(page.getByText(critical['critical.queued']))
    // What is not acknowledged does not look as if it were.
    expect(await page.getByText(critical['critical.mine']).count()).toBe(0)
    await page.reload()
    await seen(page.getByRole('heading', { level: 1, name: title }))
    await seen(page.getByText(critical['critical.queued']))
    await line.mend()
    expect((await becomes(id, 'acknowledged')).acknowledgedBy).toBe(anna.id)
    await seen(page.getByText(critical['critical.mine']))
    expect(await acknowledgements(id)).toBe(1)
  })
})

test('Queued and too late: the refusal says who was faster, and when', async () => {
  const anna = await person('Anna', 'Late')
  const otto = await person('Otto', 'Faster', ['lead'])
  await onLine(async (one, line) => {
    const { page } = one
    const { id, title } = await openIncident(`Boiler leaks ${process.pid}`, { priority: 'high', assignedTo: anna.id })
    await signIn(one, anna)
    await page.getByRole('link', { name: new RegExp(title) }).tap()
    await seen(page.getByRole('heading', { level: 1, name: title }))
    await seen(page.getByRole('button', { name: incidents['action.acknowledge'], exact: true }))
    await line.cut()
    await page.getByRole('button', { name: incidents['action.acknowledge'], exact: true }).tap()
    await seen(page.getByText(core['outbox.queued']))
    await call('POST', `/incidents/${id}/resolve`, {}, await tokenOf(otto))
    const { resolvedAt } = await becomes(id, 'resolved')
    await line.mend()
    const time = new Intl.DateTimeFormat('en', { hour: '2-digit', minute: '2-digit', hour12: false, timeZone: 'UTC' }).format(new Date(resolvedAt ?? 0))
    const said = core['outbox.refused'].replace('{reason}', core['outbox.alreadyBy'].replace('{state}', 'resolved').replace('{name}', otto.name).replace('{time}', time))
    await seen(page.getByText(said), 90_000)
    // It stays to be read.
    await page.reload()
    await seen(page.getByText(said))
    await page.getByRole('button', { name: core['action.dismiss'] }).tap()
    await page.getByText(said).waitFor({ state: 'detached' })
    expect(await acknowledgements(id)).toBe(0)
  })
})

test('A session that is over while somebody acknowledges: it waits for them, and is sent once', async () => {
  const anna = await person('Anna', 'Expired')
  await onLine(async (one, line) => {
    const { page } = one
    await signIn(one, anna)
    await seen(page.getByRole('heading', { level: 1, name: incidents['incidents.title'] }))
    const { id } = await openIncident(`Lock is open ${process.pid}`, { assignedTo: anna.id })
    await seen(redScreen(page))
    // The stream would tell it at once.
    await line.cut()
    await endBrowserSessions(anna)
    await page.getByRole('button', { name: critical['critical.ack'] }).tap()
    await seen(page.getByText(critical['critical.queued']))
    await line.mend()
    await page.waitForURL(/sign-in\?to=/, { timeout: 90_000 })
    await seen(page.getByText(auth['auth.expired']))
    expect(await acknowledgements(id)).toBe(0)
    await fillIn(page, anna.email, anna.password)
    expect((await becomes(id, 'acknowledged')).acknowledgedBy).toBe(anna.id)
    expect(await acknowledgements(id)).toBe(1)
    expect(new URL(page.url()).pathname, 'back where they were').toContain(id)
  })
})

test('What somebody else has left in the outbox is not sent by the next who signs in', async () => {
  const [anna, bert] = [await person('Anna', 'Leaves'), await person('Bert', 'Borrows')]
  const { id, title } = await openIncident(`Fan is loud ${process.pid}`, { priority: 'high', assignedTo: anna.id })
  await onLine(async (one, line) => {
    const { page } = one
    await signIn(one, anna)
    await seen(page.locator('article', card(title)))
    await isKept(page)
    await line.cut()
    await page.getByRole('button', { name: `${incidents['incidents.ack']} ${title}` }).tap()
    await seen(page.getByText(WAITS))
    await endBrowserSessions(anna)
    await line.mend()
    await page.waitForURL(/sign-in/, { timeout: 90_000 })
    await fillIn(page, bert.email, bert.password)
    await seen(page.getByRole('heading', { level: 1, name: incidents['incidents.title'] }))
    await seen(page.locator('article', card(title)))
    expect((await audit(id)).filter(({ actor }) => actor.id === bert.id)).toEqual([])
    expect(await acknowledgements(id)).toBe(0)
  })
})

test('The gateway goes away and comes back: it is said, and the list is right again without a touch', async () => {
  const anna = await person('Anna', 'Patient')
  await onLine(async (one, line) => {
    const { page } = one
    await signIn(one, anna)
    await isKept(page)
    await seen(page.getByRole('heading', { level: 1, name: incidents['incidents.title'] }))
    await line.cut()
    await page.getByRole('button', { name: incidents['incidents.refresh'] }).tap()
    await seen(page.getByText(core['offline.banner']))
    // A cold start meanwhile, on a screen that was never opened.
    await page.goto(`${line.base}/app/oncall`)
    await seen(page.getByRole('navigation'))
    await page.goto(`${line.base}/app/incidents`)
    await seen(page.getByRole('heading', { level: 1, name: incidents['incidents.title'] }))
    const { title } = await openIncident(`Meanwhile ${process.pid}`, { priority: 'high', assignedTo: anna.id })
    await line.mend()
    await seen(page.locator('article', card(title)), 90_000)
    await page.getByText(core['offline.banner']).waitFor({ state: 'detached' })
  })
})

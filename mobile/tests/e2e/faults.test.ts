/** Deep links, clocks that are wrong, and texts that nobody would choose. */

import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { auth } from '../../src/messages/en/auth'
import { core } from '../../src/messages/en/core'
import { critical } from '../../src/messages/en/critical'
import { incidents } from '../../src/messages/en/incidents'
import { becomes, incident, openIncident, person, until } from './api'
import { fillIn, launch, leave, onPhone, redScreen, seen, signIn, swipe } from './phone'

let browser: Browser
beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser?.close())

test('A deep link: signed out by way of the sign-in, signed in at once', async () => {
  const anna = await person('Anna', 'Links')
  const { id, title } = await openIncident(`Linked ${process.pid}`, { priority: 'high', assignedTo: anna.id })
  await onPhone(browser, async (one) => {
    const { page, base } = one
    await page.goto(`${base}/app/incidents/${id}`)
    await seen(page.getByLabel(auth['auth.email']))
    await fillIn(page, anna.email, anna.password)
    await seen(page.getByRole('heading', { level: 1, name: title }))
    expect(new URL(page.url()).pathname).toBe(`/app/incidents/${id}`)
    await page.goto(`${base}/app/settings`)
    await seen(page.getByRole('navigation'))
    await page.goto(`${base}/app/incidents/${id}`)
    await seen(page.getByRole('heading', { level: 1, name: title }))
    // Back leads into the app, and never out of it.
    await page.getByRole('button', { name: core['action.back'] }).tap()
    await page.waitForURL(/\/app\/incidents$/)
  })
})

test('A link to something critical that pages them is the red screen', async () => {
  const anna = await person('Anna', 'Urgent')
  const { id } = await openIncident(`Urgent link ${process.pid}`, { assignedTo: anna.id })
  await onPhone(browser, async (one) => {
    await signIn(one, anna, `/incidents/${id}`)
    await seen(redScreen(one.page))
    await leave(one.page)
    // Left for now: it is not thrown at them again.
    await seen(one.page.getByRole('button', { name: incidents['action.acknowledge'], exact: true }))
    expect(await redScreen(one.page).count()).toBe(0)
    await one.page.getByRole('button', { name: incidents['action.acknowledge'], exact: true }).tap()
    await becomes(id, 'acknowledged')
  })
})

test('A sign-in leads nowhere but into the app', async () => {
  const anna = await person('Anna', 'Careful')
  for (const elsewhere of ['https://evil.example/', '//evil.example/', 'javascript:alert(1)', '/%2F/evil.example']) {
    await onPhone(browser, async ({ page, base }) => {
      await page.goto(`${base}/app/sign-in?to=${encodeURIComponent(elsewhere)}`)
      await fillIn(page, anna.email, anna.password)
      await seen(page.getByRole('heading', { level: 1, name: incidents['incidents.title'] }))
      expect(new URL(page.url()).origin).toBe(base)
    })
  }
})

test('What is not there, or closed already, says so', async () => {
  const anna = await person('Anna', 'Lost')
  const { id } = await openIncident(`Over ${process.pid}`, { assignedTo: anna.id })
  await onPhone(browser, async (one) => {
    await signIn(one, anna, `/alert/${id}`)
    await seen(redScreen(one.page))
    await one.page.getByRole('button', { name: critical['critical.ack'] }).tap()
    await becomes(id, 'acknowledged')
    await one.page.waitForURL(/\/incidents\//)
    await one.page.getByRole('button', { name: incidents['action.resolve'], exact: true }).tap()
    await becomes(id, 'resolved')
    await one.page.goto(`${one.base}/app/alert/${id}`)
    await seen(one.page.getByText(/^Resolved by Anna Lost at \d\d:\d\d\. Nothing is left to do\.$/))
    expect(await one.page.getByRole('button', { name: critical['critical.ack'], exact: true }).count()).toBe(0)
    await one.page.goto(`${one.base}/app/alert/00000000-0000-4000-8000-000000000000`)
    await seen(one.page.getByText(critical['critical.gone']))
    await one.page.goto(`${one.base}/app/incidents/no-such-thing`)
    await seen(one.page.getByText(incidents['incidents.gone']))
    await one.page.goto(`${one.base}/app/no/such/screen`)
    await seen(one.page.getByText(core['app.notFound']))
  })
})

test.for([
  ['three hours fast', 3 * 3_600_000 + 17_000],
  ['a day slow', -24 * 3_600_000],
] as const)('A phone whose clock is %s shows the right countdown and ages, and acknowledges', async ([, wrong]) => {
  const anna = await person('Anna', 'Clock')
  await onPhone(browser, async (one) => {
    const { page } = one
    await signIn(one, anna)
    const other = await openIncident(`Clock high ${process.pid} ${wrong}`, { priority: 'high', assignedTo: anna.id })
    const card = page.locator('article', { hasText: other.title })
    await seen(card.getByText(/^(now|1 min\. ago)/))
    const { id } = await openIncident(`Clock ${process.pid} ${wrong}`, { assignedTo: anna.id })
    await seen(redScreen(page))
    const { escalation } = await until(() => incident(id), (now) => now.escalation?.nextAt != null, 'it escalates')
    const shown = await until(
      async () => ((await page.getByRole('timer').textContent()) ?? '').trim(),
      (text) => /^\d+:\d\d$/.test(text),
      'a countdown',
    )
    const [minutes = 0, seconds = 0] = shown.split(':').map(Number)
    const really = (Date.parse(escalation?.nextAt ?? '') - Date.now()) / 1_000
    expect(Math.abs(minutes * 60 + seconds - really), `${shown} is shown, and ${really} s are left`).toBeLessThan(15)
    const before = Date.now()
    await page.getByRole('button', { name: critical['critical.ack'] }).tap()
    const { acknowledgedAt } = await becomes(id, 'acknowledged')
    expect(Math.abs(Date.parse(acknowledgedAt ?? '') - before), 'it is written down when it was').toBeLessThan(30_000)
  }, { apart: wrong })
})

const TEXTS = [
  ['very long', `Disk ${'very '.repeat(40)}full`.slice(0, 255)],
  ['without a space', `node-${'x'.repeat(240)}`],
  ['right to left', 'שרת מסד הנתונים אינו מגיב — db-7 (אזור צפון)'],
  ['Arabic', 'الخادم لا يستجيب منذ ١٢ دقيقة'],
  ['emoji', '🔥👩‍👩‍👧‍👦🏳️‍🌈 Ünïcödé 🇩🇪 ' + '🚨'.repeat(30)],
  ['markup', '<img src=x onerror="alert(1)"><b>bold</b><script>alert(2)</script> {{7*7}} &amp; <!--'],
] as const

async function fitsTheScreen(page: Page): Promise<void> {
  const [wide, screen] = await page.evaluate(() => [document.documentElement.scrollWidth, document.documentElement.clientWidth])
  expect(wide, 'nothing is wider than the screen').toBeLessThanOrEqual(screen ?? 0)
}

test.for(TEXTS)('A title that is %s is shown as it is, and breaks nothing', async ([, text]) => {
  const anna = await person('Anna', 'Texts')
  await onPhone(browser, async (one) => {
    const { page } = one
    await signIn(one, anna)
    const high = await openIncident(text, { priority: 'high', assignedTo: anna.id, description: text, metadata: { location: text } })
    const card = page.locator(`article:has(a[href$="${high.id}"])`)
    await seen(card)
    await fitsTheScreen(page)
    expect(await card.locator('.title').textContent()).toBe(text)
    expect(await page.locator('article b, article img, article script').count()).toBe(0)
    await swipe(page, card)
    await becomes(high.id, 'acknowledged')
    await page.goto(`${one.base}/app/incidents/${high.id}`)
    await seen(page.getByRole('heading', { level: 1 }))
    expect(await page.getByRole('heading', { level: 1 }).textContent()).toBe(text)
    await fitsTheScreen(page)
    const burns = await openIncident(text, { assignedTo: anna.id, description: text, metadata: { location: text } })
    await seen(redScreen(page))
    const title = page.getByRole('heading', { level: 1 })
    await until(async () => (await title.textContent()) ?? '', (shown) => shown === text, 'the title')
    expect(await title.evaluate((node) => getComputedStyle(node).direction)).toBe(/^[\u0590-\u06ff]/.test(text) ? 'rtl' : 'ltr')
    await fitsTheScreen(page)
    // However long it is, the answer is on the screen.
    const box = await page.getByRole('button', { name: critical['critical.ack'] }).boundingBox()
    expect((box?.y ?? 1_000) + (box?.height ?? 0)).toBeLessThanOrEqual(844)
    await page.getByRole('button', { name: critical['critical.ack'] }).tap()
    await becomes(burns.id, 'acknowledged')
  })
})

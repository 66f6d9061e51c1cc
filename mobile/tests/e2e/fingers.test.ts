/** Fingers at three in the morning: they tap twice, they were on their way to something else, and they put the phone away at once. */

import type { Browser, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { critical } from '../../src/messages/en/critical'
import { core } from '../../src/messages/en/core'
import { incidents } from '../../src/messages/en/incidents'
import { audit, becomes, incident, openIncident, person, until } from './api'
import { isKept, launch, onPhone, redScreen, seen, signIn } from './phone'

let browser: Browser
beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser?.close())

/** Without asking whether it can be tapped: that is what a finger does. */
async function tapAt(page: Page, at: { x: number; y: number }): Promise<void> {
  await page.touchscreen.tap(at.x, at.y)
}
async function middle(what: Locator): Promise<{ x: number; y: number }> {
  await seen(what)
  const box = (await what.boundingBox())!
  return { x: box.x + box.width / 2, y: box.y + box.height / 2 }
}
/** The moment that this is on the screen, a finger is on it: no round trip of a test is that fast. */
async function tapAsSoonAs(page: Page, place: string, words: string): Promise<void> {
  await page.evaluate(([where, wanted]) => {
    const watch = new MutationObserver(() => {
      const found = document.querySelector(where!)
      if (found?.textContent?.trim() !== wanted) return
      watch.disconnect()
      found?.dispatchEvent(new MouseEvent('click', { bubbles: true, cancelable: true, detail: 1 }))
      Object.assign(globalThis, { wasTapped: true })
    })
    watch.observe(document.body, { childList: true, subtree: true, characterData: true })
  }, [place, words])
}
const wasTapped = (page: Page) => page.waitForFunction(() => (globalThis as { wasTapped?: boolean }).wasTapped === true)

test('Acknowledge that is tapped twice acknowledges, and resolves nothing', async () => {
  const anna = await person('Anna', 'Twice')
  const { id } = await openIncident(`Twice ${process.pid}`, { priority: 'high', assignedTo: anna.id })
  await onPhone(browser, async (one) => {
    const { page } = one
    await signIn(one, anna, `/incidents/${id}`)
    const button = page.getByRole('button', { name: incidents['action.acknowledge'], exact: true })
    await seen(button)
    // Where "Acknowledge" was, "Resolve" is as soon as it was answered.
    await tapAsSoonAs(page, '.actions button', incidents['action.resolve'])
    await button.tap()
    await becomes(id, 'acknowledged')
    await wasTapped(page)
    // What waits to be sent would be sent before this.
    await page.getByLabel(incidents['incidents.note'], { exact: true }).fill('Looked at it.')
    await page.getByRole('button', { name: incidents['action.notes'], exact: true }).tap()
    await until(() => audit(id), (all) => all.some(({ action }) => action === 'NoteAdded'), 'the note is there')
    expect((await incident(id)).status).toBe('acknowledged')
  })
})

test('Many taps on the red screen answer the one that was read', async () => {
  const anna = await person('Anna', 'Many')
  const ids = (await Promise.all([1, 2, 3].map((n) => openIncident(`Many ${process.pid} ${n}`, { assignedTo: anna.id })))).map(({ id }) => id)
  await onPhone(browser, async (one) => {
    const { page } = one
    await signIn(one, anna)
    await seen(page.getByText(critical['critical.more.other'].replace('{count}', '2')))
    const button = page.getByRole('button', { name: critical['critical.ack'], exact: true })
    const at = await middle(button)
    await until(() => button.getAttribute('aria-disabled'), (is) => is === 'false', 'it hears')
    for (let taps = 0; taps < 4; taps += 1) await tapAt(page, at)
    const answered = async () => (await Promise.all(ids.map(incident))).filter(({ status }) => status === 'acknowledged').length
    await until(answered, (count) => count > 0, 'one is answered')
    // On to the next one, which nobody has answered.
    await seen(page.getByText(critical['critical.more.one'].replace('{count}', '1')))
    expect(await answered()).toBe(1)
  })
})

test('A finger that was on its way to something else answers no page that comes under it', async () => {
  const anna = await person('Anna', 'Way')
  await onPhone(browser, async (one) => {
    const { page } = one
    await signIn(one, anna)
    await seen(page.getByRole('heading', { level: 1 }))
    await tapAsSoonAs(page, '[role=alertdialog] .ack', critical['critical.ack'])
    const { id } = await openIncident(`Comes under it ${process.pid}`, { assignedTo: anna.id })
    await seen(redScreen(page))
    await wasTapped(page)
    const button = page.getByRole('button', { name: critical['critical.ack'], exact: true })
    await until(() => button.getAttribute('aria-disabled'), (is) => is === 'false', 'it hears')
    expect((await incident(id)).status).not.toBe('acknowledged')
    await button.tap()
    await becomes(id, 'acknowledged')
  })
})

test.for(['put into a pocket', 'closed', 'led elsewhere'] as const)('An acknowledgement is sent though the app is %s before its undo is over', async (how) => {
  const anna = await person('Anna', 'Pocket')
  const { id } = await openIncident(`Pocket ${process.pid} ${how}`, { priority: 'high', assignedTo: anna.id })
  await onPhone(browser, async (one) => {
    const { page } = one
    await signIn(one, anna)
    await isKept(page)
    const card = page.locator(`article:has(a[href$="${id}"])`)
    await card.locator('button.ack').tap()
    await seen(card.getByRole('button', { name: incidents['incidents.undo'] }))
    const at = Date.now()
    if (how === 'closed') await page.close()
    else if (how === 'led elsewhere') await page.goto('about:blank')
    else {
      await page.evaluate(() => {
        // No timer runs in a pocket.
        globalThis.setTimeout = (() => 0) as never
        Object.defineProperty(document, 'visibilityState', { value: 'hidden' })
        document.dispatchEvent(new Event('visibilitychange'))
      })
    }
    const { acknowledgedBy } = await becomes(id, 'acknowledged')
    expect(acknowledgedBy).toBe(anna.id)
    console.log(`${how}: after ${Date.now() - at} ms`)
  })
})

test.for([200, 401, 403, 404])('A network that wants somebody to log in first, and says so with %i, loses no acknowledgement and ends no session', async (status) => {
  const anna = await person('Anna', 'Hotel')
  const { id, title } = await openIncident(`Hotel ${process.pid} ${status}`, { priority: 'high', assignedTo: anna.id })
  await onPhone(
    browser,
    async (one) => {
      const { page, context } = one
      await signIn(one, anna, `/incidents/${id}`)
      await seen(page.getByRole('heading', { level: 1, name: title }))
      await context.route('**/api/**', (route) => route.fulfill({ status, contentType: 'text/html', body: '<!doctype html><h1>Welcome to our WiFi</h1>' }))
      await page.getByRole('button', { name: incidents['action.acknowledge'], exact: true }).tap()
      await seen(page.getByText(core['outbox.queued']))
      await seen(page.getByText(core['offline.banner']))
      await page.reload()
      await seen(page.getByRole('heading', { level: 1, name: title }))
      await seen(page.getByText(core['outbox.queued']))
      await context.unroute('**/api/**')
      await page.reload()
      expect((await becomes(id, 'acknowledged')).acknowledgedBy).toBe(anna.id)
    },
    { serviceWorkers: 'block' },
  )
})

test.for([
  ['on its side', { width: 844, height: 390 }],
  ['small', { width: 320, height: 568 }],
  ['small and on its side', { width: 568, height: 320 }],
] as const)('On a phone that is %s the answer and the countdown are on the red screen, whatever the title', async ([, viewport]) => {
  const anna = await person('Anna', 'Side')
  const { id } = await openIncident(`שרת 🔥 <b>bold</b> ${'very long '.repeat(20)}`.slice(0, 200), { assignedTo: anna.id })
  await onPhone(
    browser,
    async (one) => {
      const { page } = one
      await signIn(one, anna, `/alert/${id}`)
      const button = page.getByRole('button', { name: critical['critical.ack'], exact: true })
      for (const what of [button, page.getByRole('timer')]) {
        await seen(what)
        const box = (await what.boundingBox())!
        expect(box.y + box.height).toBeLessThanOrEqual(viewport.height)
      }
      await button.tap()
      await becomes(id, 'acknowledged')
    },
    { viewport },
  )
})

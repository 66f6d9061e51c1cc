/** A device without room: what burns is still shown, and what somebody does is sent, once, and nothing breaks or begins anew. */

import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { core } from '../../src/messages/en/core'
import { incidents } from '../../src/messages/en/incidents'
import { acknowledgements, becomes, openIncident, person } from './api'
import { fillIn, isKept, launch, Line, onPhone, type Phone, seen, signIn, swipe } from './phone'

let browser: Browser
beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser?.close())

const card = (page: Page, title: string) => page.locator('article', { hasText: title })
const WAITS = core['offline.waiting.one'].replace('{count}', '1')

/** So much room has it at most, before it is full. */
const ROOM = 10_000_000

/** A phone with little room, which `fill` takes away. */
async function withRoom(one: Phone): Promise<{ fill: () => Promise<void> }> {
  const { context, page, base } = one
  const devtools = await context.newCDPSession(page)
  const give = (quotaSize: number) => devtools.send('Storage.overrideQuotaForOrigin', { origin: base, quotaSize })
  await give(ROOM)
  return {
    fill: async () => {
      await give(1)
      // A browser asks seldom how much room there is: when what is written is more than it last knew of. It says no,
      // or this test would show nothing.
      expect(await page.evaluate(write, ROOM)).toBe('QuotaExceededError')
      expect(await page.evaluate(write, 1_000)).toBe('QuotaExceededError')
    },
  }
}

/** In the page: what becomes of a write beside those of the app. */
function write(size: number): Promise<string> {
  return new Promise((done) => {
    const opening = indexedDB.open('pager')
    opening.onerror = () => done(opening.error?.name ?? '')
    opening.onsuccess = () => {
      const db = opening.result
      const writing = db.transaction('settings', 'readwrite')
      const end = (said: string) => {
        db.close()
        done(said)
      }
      writing.oncomplete = () => end('kept')
      writing.onabort = () => end(writing.error?.name ?? '')
      writing.objectStore('settings').put('x'.repeat(size), 'of the test')
    }
  })
}

/** How often the page was loaded, so that nobody takes a loop for a start. */
function loads(page: Page): () => number {
  let count = 0
  page.on('framenavigated', (frame) => {
    if (frame === page.mainFrame() && !frame.url().startsWith('about:')) count += 1
  })
  return () => count
}

/** A phone whose network can be taken away. */
async function onLine(work: (one: Phone, line: Line) => Promise<void>): Promise<void> {
  const line = await Line.to()
  try {
    await onPhone(browser, (one) => work(one, line), { base: line.base })
  } finally {
    await line.cut()
  }
}

test('A full browser shows what is opened, acknowledges it, and says that nothing is kept', async () => {
  const anna = await person('Anna', 'Full')
  const before = await openIncident(`Tank 1 leaks ${process.pid}`, { priority: 'high', assignedTo: anna.id })
  await onPhone(browser, async (one) => {
    const { page } = one
    const { fill } = await withRoom(one)
    await signIn(one, anna)
    await seen(card(page, before.title))
    await isKept(page)
    await fill()
    const after = await openIncident(`Tank 2 leaks ${process.pid}`, { priority: 'high', assignedTo: anna.id })
    await seen(card(page, after.title))
    await seen(page.getByText(core['offline.full']))
    for (const { id, title } of [before, after]) {
      await card(page, title).getByRole('button', { name: `${incidents['incidents.ack']} ${title}` }).tap()
      await seen(page.getByText(core['outbox.unkept']))
      expect((await becomes(id, 'acknowledged')).acknowledgedBy).toBe(anna.id)
      expect(await acknowledgements(id)).toBe(1)
    }
    const count = loads(page)
    await page.reload()
    await seen(card(page, before.title))
    await seen(card(page, after.title))
    expect(await page.getByRole('alert').count()).toBe(0)
    await page.waitForLoadState('networkidle')
    expect(count()).toBe(1)
    for (const { id } of [before, after]) expect(await acknowledgements(id)).toBe(1)
  })
})

test('What waits in a full browser without a network is sent, once, when there is one', async () => {
  const anna = await person('Anna', 'Waits')
  const { id, title } = await openIncident(`Tank 3 leaks ${process.pid}`, { priority: 'high', assignedTo: anna.id })
  await onLine(async (one, line) => {
    const { page } = one
    const { fill } = await withRoom(one)
    await signIn(one, anna)
    await seen(card(page, title))
    await fill()
    await line.cut()
    await swipe(page, card(page, title))
    await seen(page.getByText(core['outbox.unkept']))
    await seen(page.getByText(WAITS))
    await line.mend()
    expect((await becomes(id, 'acknowledged')).acknowledgedBy).toBe(anna.id)
    await page.getByText(WAITS).waitFor({ state: 'detached' })
    expect(await acknowledgements(id)).toBe(1)
  })
})

test('What was kept before there was no room is sent as well, and not again by the next start', async () => {
  const anna = await person('Anna', 'Kept')
  const { id, title } = await openIncident(`Tank 4 leaks ${process.pid}`, { priority: 'high', assignedTo: anna.id })
  await onLine(async (one, line) => {
    const { page } = one
    const { fill } = await withRoom(one)
    await signIn(one, anna)
    await seen(card(page, title))
    await isKept(page)
    await line.cut()
    await swipe(page, card(page, title))
    await seen(page.getByText(WAITS))
    await fill()
    await line.mend()
    expect((await becomes(id, 'acknowledged')).acknowledgedBy).toBe(anna.id)
    await page.getByText(WAITS).waitFor({ state: 'detached' })
    await page.reload()
    await seen(card(page, title))
    await page.waitForLoadState('networkidle')
    expect(await page.getByText(WAITS).count()).toBe(0)
    expect(await acknowledgements(id)).toBe(1)
  })
})

test('Somebody signs in on a full device, and is signed in', async () => {
  const anna = await person('Anna', 'Enters')
  const { title } = await openIncident(`Tank 5 leaks ${process.pid}`, { priority: 'high', assignedTo: anna.id })
  await onPhone(browser, async (one) => {
    const { page, base } = one
    const { fill } = await withRoom(one)
    await page.goto(`${base}/app/`)
    await page.waitForFunction(() => navigator.serviceWorker.controller !== null)
    await fill()
    await fillIn(page, anna.email, anna.password)
    await seen(card(page, title))
    await seen(page.getByText(core['offline.full']))
  })
})

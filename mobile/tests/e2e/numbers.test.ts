/** The numbers that are promised, measured and compared with `--numbers` alone: a machine that does other things says nothing. */

import { spawnSync } from 'node:child_process'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { auth } from '../../src/messages/en/auth'
import { critical } from '../../src/messages/en/critical'
import { becomes, openIncident, person } from './api'
import { isKept, launch, phone, redScreen, seen, signIn } from './phone'

/** An odd number: the middle one counts. */
const TIMES = 11
const OPEN = 50
const numbers: Record<string, { is: number; most: number; unit: string }> = {}
const median = (all: number[]) => [...all].sort((one, other) => one - other)[Math.floor(all.length / 2)] ?? Number.NaN

let browser: Browser
beforeAll(async () => {
  browser = await launch()
})
afterAll(async () => {
  await browser?.close()
  console.log(JSON.stringify(numbers, null, 2))
})
const says = (name: string, is: number, most: number, unit: string) => {
  numbers[name] = { is: Math.round(is * 10_000) / 10_000, most, unit }
  expect(is, name).toBeLessThanOrEqual(most)
}

describe.runIf(process.env['APP_E2E_NUMBERS'] === '1')('Numbers', () => {
  test('first screen of a new browser, with a processor that is four times slower: the sign-in can be typed into', async () => {
    const took: number[] = []
    for (let time = 0; time < TIMES; time += 1) {
      const one = await phone(browser)
      took.push(await firstScreen(one.context, one.page, `${one.base}/app/`, 'input[type="password"]'))
      // What is typed before the database has answered is there after it.
      await one.page.getByLabel(auth['auth.email']).fill('anna@pager.local')
      await one.page.waitForFunction(() => navigator.serviceWorker.controller !== null)
      expect(await one.page.getByLabel(auth['auth.email']).inputValue()).toBe('anna@pager.local')
      await one.context.close()
    }
    says('first screen, signed out', median(took), 1_000, 'ms')
  })

  test('first screen of whoever is signed in, with fifty open incidents: they are there, and the worker was not running', async () => {
    const anna = await person('Anna', 'Opens')
    for (let time = 0; time < OPEN; time += 1) await openIncident(`Open ${process.pid} ${time}`, { priority: 'medium' })
    const took: number[] = []
    const one = await phone(browser)
    try {
      await signIn(one, anna)
      await isKept(one.page)
      await seen(cards(one.page).nth(OPEN - 1))
      await one.page.close()
      for (let time = 0; time < TIMES; time += 1) {
        const page = await one.context.newPage()
        took.push(await firstScreen(one.context, page, `${one.base}/app/`, 'main article a'))
        await seen(cards(page).nth(OPEN - 1))
        await page.close()
      }
    } finally {
      await one.context.close()
    }
    says('first screen, signed in', median(took), 1_000, 'ms')
  })

  test('JavaScript of the first load', () => {
    const { stdout } = spawnSync(process.execPath, ['scripts/size.mjs'], { encoding: 'utf8' })
    says('first-load JavaScript', Number(/([\d.]+) kB/.exec(stdout)?.[1]), 80, 'kB gzip')
  })

  test('from the event to the red screen, from the tap to committed, and no layout shift', async () => {
    const anna = await person('Anna', 'Measured')
    const toRed: number[] = []
    const toCommitted: number[] = []
    const shifts: number[] = []
    const one = await phone(browser)
    try {
      await one.page.addInitScript(measure)
      await signIn(one, anna)
      await isKept(one.page)
      for (let time = 0; time < TIMES; time += 1) {
        const title = `Measured ${process.pid} ${time}`
        const { id } = await openIncident(title, { assignedTo: anna.id, description: 'A text of a line.', metadata: { location: 'Hall 1' } })
        await seen(redScreen(one.page))
        await seen(one.page.getByRole('heading', { level: 1, name: title }))
        const answered = one.page.waitForResponse((response) => response.url().endsWith(`/incidents/${id}/acknowledge`) && response.ok())
        toRed.push(await measured(one.page, id))
        await one.page.getByRole('button', { name: critical['critical.ack'] }).tap()
        await answered
        const path = `/incidents/${id}/acknowledge`
        // The page's own list of what it asked for has it a moment after the answer.
        await one.page.waitForFunction((of) => (globalThis as unknown as Measures).committed(of) !== null, path)
        toCommitted.push((await one.page.evaluate((of) => (globalThis as unknown as Measures).committed(of), path)) ?? Number.NaN)
        await becomes(id, 'acknowledged')
        await one.page.waitForURL(/\/app\/incidents\//)
        shifts.push(await one.page.evaluate(() => (globalThis as unknown as Measures).shifted))
        await one.page.goto(`${one.base}/app/incidents`)
        await one.page.waitForLoadState('networkidle')
      }
    } finally {
      await one.context.close()
    }
    says('event to red screen', median(toRed), 300, 'ms')
    says('tap to committed', median(toCommitted), 150, 'ms')
    says('layout shift of the alert screen', Math.max(...shifts), 0, '')
  })
})

const cards = (page: Page) => page.locator('main article')

/** Milliseconds from the begin of the navigation until the first of these is painted. */
async function firstScreen(context: BrowserContext, page: Page, address: string, wanted: string): Promise<number> {
  const devtools = await context.newCDPSession(page)
  await devtools.send('ServiceWorker.enable')
  await devtools.send('ServiceWorker.stopAllWorkers')
  await devtools.send('Emulation.setCPUThrottlingRate', { rate: 4 })
  await page.addInitScript(watchFor, wanted)
  await page.goto(address)
  await page.waitForFunction(() => (globalThis as unknown as Painted).painted > 0)
  const painted = await page.evaluate(() => (globalThis as unknown as Painted).painted)
  await devtools.send('Emulation.setCPUThrottlingRate', { rate: 1 })
  return painted
}

interface Painted {
  painted: number
}

/** In the page: a task after the frame in which it is for the first time has drawn it. */
function watchFor(wanted: string): void {
  const at = Object.assign(globalThis as unknown as Painted, { painted: 0 })
  const watch = new MutationObserver(() => {
    if (document.querySelector(wanted) === null) return
    watch.disconnect()
    requestAnimationFrame(() => {
      const { port1, port2 } = new MessageChannel()
      port1.onmessage = () => (at.painted = performance.now())
      port2.postMessage(null)
    })
  })
  watch.observe(document, { subtree: true, childList: true })
}

interface Measures {
  heard: Record<string, number>
  red: number
  shifted: number
  tapped: number
  committed: (path: string) => number | null
}

/** In the page: when the stream told of an incident, when the red screen was painted, and what moved on it. */
function measure(): void {
  const at = Object.assign(globalThis as unknown as Measures, { heard: {}, red: 0, shifted: 0, tapped: 0 })
  const Plain = WebSocket
  globalThis.WebSocket = class extends Plain {
    constructor(...given: ConstructorParameters<typeof WebSocket>) {
      super(...given)
      this.addEventListener('message', ({ data }) => {
        const frame = JSON.parse(String(data)) as { type: string; incident?: { id: string } }
        if (frame.type === 'EscalationDue' && frame.incident !== undefined) at.heard[frame.incident.id] ??= performance.now()
      })
    }
  }
  let isRed = false
  const look = () => {
    const is = document.querySelector('[role="alertdialog"].burning') !== null
    if (is && !isRed) requestAnimationFrame(() => setTimeout(() => (at.red = performance.now())))
    isRed = is
  }
  document.addEventListener('DOMContentLoaded', () => new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ['class'] }))
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as unknown as { value: number; startTime: number }[]) if (isRed && at.red > 0 && entry.startTime > at.red) at.shifted += entry.value
  }).observe({ type: 'layout-shift', buffered: true })
  document.addEventListener('click', () => (at.tapped = performance.now()), true)
  at.committed = (path) => {
    const asked = performance.getEntriesByType('resource').findLast(({ name }) => name.endsWith(path)) as PerformanceResourceTiming | undefined
    return asked === undefined ? null : asked.responseEnd - at.tapped
  }
}

async function measured(page: Page, id: string): Promise<number> {
  await page.waitForFunction((of) => (globalThis as unknown as Measures).red > ((globalThis as unknown as Measures).heard[of] ?? Infinity), id)
  return page.evaluate((of) => (globalThis as unknown as Measures).red - ((globalThis as unknown as Measures).heard[of] ?? Number.NaN), id)
}

/** The numbers that are promised, measured and compared with `--numbers` alone: a machine that does other things says nothing. */

import { spawnSync } from 'node:child_process'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { critical } from '../../src/messages/en/critical'
import { becomes, openIncident, person } from './api'
import { isKept, launch, phone, redScreen, seen, signIn } from './phone'

const TIMES = 5
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
  test('first screen, with a processor that is four times slower', async () => {
    const took: number[] = []
    for (let time = 0; time < TIMES; time += 1) {
      const one = await phone(browser)
      const devtools = await one.context.newCDPSession(one.page)
      await devtools.send('Emulation.setCPUThrottlingRate', { rate: 4 })
      await one.page.goto(`${one.base}/app/`)
      await seen(one.page.getByRole('heading', { level: 1 }))
      // Paints are told a moment after them.
      took.push(
        await one.page.evaluate(
          () =>
            new Promise<number>((done) =>
              new PerformanceObserver((list) => {
                const [first] = list.getEntriesByName('first-contentful-paint')
                if (first !== undefined) done(first.startTime)
              }).observe({ type: 'paint', buffered: true }),
            ),
        ),
      )
      // What is painted first has to be the screen: its heading is there within the same bound.
      took.push(await one.page.evaluate(() => new Promise<number>((done) => new PerformanceObserver((list) => done(list.getEntries().at(-1)?.startTime ?? Number.NaN)).observe({ type: 'largest-contentful-paint', buffered: true }))))
      await one.context.close()
    }
    says('first screen', Math.max(median(took.filter((_, index) => index % 2 === 0)), median(took.filter((_, index) => index % 2 === 1))), 1_000, 'ms')
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

/** A phone: 390 × 844, touched and not clicked, with nobody signed in. What it says in its console is a fault. */

import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Browser, type BrowserContext, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core'
import { expect } from 'vitest'
import { auth } from '../../src/messages/en/auth'
import { core } from '../../src/messages/en/core'
import { pager, type Person, until } from './api'

export type Theme = 'dark' | 'light'
export const THEMES: readonly Theme[] = ['dark', 'light']
export const SEEN_WITHIN = 20_000

export const launch = (): Promise<Browser> =>
  chromium.launch({
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--force-color-profile=srgb', '--font-render-hinting=none'],
  })

export interface Phone {
  context: BrowserContext
  page: Page
  /** Where it finds the gateway. */
  base: string
  /** What went wrong in the page, without what a cut line explains. */
  faults: string[]
}

/** `apart`: milliseconds that its clock is wrong. */
export async function phone(browser: Browser, more: BrowserContextOptions & { base?: string; apart?: number } = {}): Promise<Phone> {
  const { base = pager.gateway, apart = 0, ...options } = more
  const context = await browser.newContext({
    viewport: { width: 390, height: 844 },
    hasTouch: true,
    isMobile: true,
    locale: 'en-GB',
    timezoneId: 'UTC',
    colorScheme: 'dark',
    ...options,
  })
  context.setDefaultTimeout(SEEN_WITHIN)
  await context.addInitScript(ownClock, apart)
  const page = await context.newPage()
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(String(error)))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource|WebSocket connection to|net::ERR_|Blocked call to navigator\.vibrate/.test(message.text())) faults.push(message.text())
  })
  page.on('dialog', (dialog) => {
    faults.push(`a dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  return { context, page, base, faults }
}

/** From now on no time passes for this page, however slow the machine is. */
export const stopTheClock = (page: Page) => page.evaluate(() => (globalThis as unknown as { stopTheClock: () => void }).stopTheClock())

/** In the page, before anything of it. */
function ownClock(apart: number): void {
  const Real = Date
  let stopped: number | null = null
  const now = () => stopped ?? Real.now() + apart
  class Own extends Real {
    constructor(...given: []) {
      if (given.length === 0) super(now())
      else super(...given)
    }
    static override now = now
  }
  globalThis.Date = Own as DateConstructor
  Object.assign(globalThis, { stopTheClock: () => (stopped = now()) })
}

/** What is done with a phone; where it fails, what was on its screen is kept, and at the end nothing may have gone wrong in it. */
export async function onPhone(browser: Browser, work: (phone: Phone) => Promise<void>, more: Parameters<typeof phone>[1] = {}): Promise<void> {
  const one = await phone(browser, more)
  try {
    await work(one)
    expect(one.faults).toEqual([])
  } catch (error) {
    const picture = join(tmpdir(), `pager-app-failed-${process.pid}-${(pictures += 1)}.png`)
    await one.page.screenshot({ path: picture }).then(
      () => console.error(`${one.page.url()} looked so when it failed: ${picture}`),
      () => undefined,
    )
    throw error
  } finally {
    await one.context.close()
  }
}
let pictures = 0

export async function signIn({ page, base }: Phone, { email, password }: Pick<Person, 'email' | 'password'>, path = '/incidents'): Promise<void> {
  await page.goto(`${base}/app${path}`)
  await fillIn(page, email, password)
}
/** At the sign-in, wherever somebody comes from. */
export async function fillIn(page: Page, email: string, password: string): Promise<void> {
  await page.getByLabel(auth['auth.email']).fill(email)
  await page.getByLabel(auth['auth.password'], { exact: true }).fill(password)
  await page.getByRole('button', { name: auth['auth.signIn'], exact: true }).tap()
  await page.waitForURL((url) => !url.pathname.endsWith('/sign-in'))
}

export const seen = (what: Locator, within = SEEN_WITHIN) => what.waitFor({ state: 'visible', timeout: within })
export const redScreen = (page: Page) => page.getByRole('alertdialog')

/** Not now: the red screen goes on to page. */
export const leave = (page: Page) => redScreen(page).getByRole('button', { name: core['action.close'] }).tap()

interface Finger {
  isCancelled: boolean
  /** What came over it in the last moment has taken the finger. */
  isMissed: boolean
}

/** In the page. */
function watchTheFinger(node: Element): void {
  const at = Object.assign(globalThis as unknown as Finger, { isCancelled: false, isMissed: false })
  document.addEventListener('pointerdown', ({ target }) => (at.isMissed = !node.contains(target as Node)), { capture: true, once: true })
  document.addEventListener('pointercancel', () => (at.isCancelled = true), { capture: true, once: true })
}

/** What is said at the bottom for a while may lie over it: sent away, as somebody would who cannot reach it. */
async function uncover(page: Page, what: Locator): Promise<void> {
  const isCovered = () =>
    what.evaluate((node) => {
      const { left, top, height } = node.getBoundingClientRect()
      return !node.contains(document.elementFromPoint(left + 24, top + height / 2))
    })
  await until(
    async () => {
      const covered = await isCovered()
      if (covered) await page.getByRole('button', { name: core['action.dismiss'], exact: true }).tap({ timeout: 1_000 }).catch(() => undefined)
      return covered
    },
    (covered) => !covered,
    'nothing lies over it',
  )
}

/** A finger, from one side of something towards the other. */
export async function swipe(page: Page, what: Locator, share = 0.7): Promise<void> {
  await what.scrollIntoViewIfNeeded()
  await uncover(page, what)
  // What is still on its way to its place would be missed.
  let before = ''
  const box = await until(
    () => what.boundingBox(),
    (now) => {
      const isStill = now !== null && JSON.stringify(now) === before
      before = JSON.stringify(now)
      return isStill
    },
    'something to swipe',
  )
  if (box === null) return
  const finger = await page.context().newCDPSession(page)
  const y = Math.round(box.y + box.height / 2)
  const from = Math.round(box.x + 24)
  const to = Math.round(box.x + box.width * share)
  const touch = (type: 'touchStart' | 'touchMove' | 'touchEnd', x?: number) =>
    finger.send('Input.dispatchTouchEvent', { type, touchPoints: x === undefined ? [] : [{ x, y }] })
  // A browser that is kept busy takes a finger that has just come for one that stays, and cancels what it does; and what is said at the
  // bottom may come under it: once more, as anybody does.
  for (let time = 0; time < 3; time += 1) {
    await what.evaluate(watchTheFinger)
    await touch('touchStart', from)
    for (let step = 1; step <= 12; step += 1) await touch('touchMove', Math.round(from + ((to - from) * step) / 12))
    await touch('touchEnd')
    const { isCancelled, isMissed } = await page.evaluate(() => {
      const { isCancelled, isMissed } = globalThis as unknown as Finger
      return { isCancelled, isMissed }
    })
    if (!isCancelled && !isMissed) break
    if (isMissed) await uncover(page, what)
  }
  await finger.detach()
}

/** The service worker has the page, so that it starts without a network. */
export async function isKept(page: Page): Promise<void> {
  await page.waitForFunction(() => navigator.serviceWorker.controller !== null)
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined))
}

/** The way between a phone and the gateway, which can be cut: no event of the browser tells of it. */
export class Line {
  private server: Server | null = null
  private readonly open = new Set<Socket>()
  private port = 0

  static async to(gateway = pager.gateway): Promise<Line> {
    const line = new Line(Number(new URL(gateway).port))
    await line.mend()
    return line
  }
  private constructor(private readonly target: number) {}

  get base(): string {
    return `http://127.0.0.1:${this.port}`
  }
  async mend(): Promise<void> {
    if (this.server !== null) return
    const server = createServer((near) => {
      const far = connect(this.target, '127.0.0.1')
      for (const [one, other] of [[near, far], [far, near]] as const) {
        this.open.add(one)
        one.on('error', () => one.destroy())
        one.on('close', () => {
          this.open.delete(one)
          other.destroy()
        })
        one.pipe(other)
      }
    })
    await new Promise<void>((done, failed) => {
      server.once('error', failed)
      server.listen(this.port, '127.0.0.1', done)
    })
    this.port = (server.address() as { port: number }).port
    this.server = server
  }
  async cut(): Promise<void> {
    const { server } = this
    this.server = null
    if (server === null) return
    const closed = new Promise((done) => server.close(done))
    for (const socket of this.open) socket.destroy()
    await closed
  }
}

/** Every screen in both themes: WCAG 2.2 AA by axe, targets, keyboard, twice the text, less motion, and how it looks. */

import AxeBuilder from '@axe-core/playwright'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { critical } from '../../src/messages/en/critical'
import { pager } from './api'
import { build, type House, screens, show } from './house'
import { launch, phone, type Phone, signIn, THEMES, type Theme } from './phone'
import { focusOrder, hidden, small } from './reach'
import { compare } from './visual'

const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22a', 'wcag22aa', 'best-practice']
/** Rules beyond WCAG that do not fit an app of one landmark a screen. */
const NOT_OURS: string[] = []

let browser: Browser
let house: House
const phones = new Map<string, Phone>()

/** One that somebody is signed in at, or nobody; for all screens. */
async function at(theme: Theme, isOpen = false): Promise<Phone> {
  const name = `${theme} ${isOpen}`
  const known = phones.get(name)
  if (known !== undefined) return known
  const one = await phone(browser, { colorScheme: theme, reducedMotion: 'reduce' })
  phones.set(name, one)
  if (!isOpen) await signIn(one, { email: pager.adminEmail, password: pager.adminPassword })
  return one
}

beforeAll(async () => {
  browser = await launch()
  house = await build()
})
afterAll(() => browser?.close())

const NAMES = screens({ burning: '', taken: '', over: '', invite: 'http://x/app/register', lena: { id: '', email: '', password: '', name: '' }, ids: { schedule: '', team: '', policy: '', integration: '' } }).map(({ name }) => name)

describe.for(THEMES)('in the %s theme', (theme) => {
  test.for(NAMES)('%s', async (name) => {
    const screen = screens(house).find((one) => one.name === name)
    if (screen === undefined) throw new Error(name)
    const one = await at(theme, screen.isOpen)
    const { page } = one
    one.faults.length = 0
    await show(page, one.base, screen)

    const found = await new AxeBuilder({ page }).withTags(TAGS).disableRules(NOT_OURS).analyze()
    expect.soft(found.violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`), 'axe').toEqual([])
    expect.soft(await small(page), 'targets of less than 44 px').toEqual([])
    expect.soft(await moving(page), 'moves, where somebody wants less of it').toEqual([])
    expect.soft(await hidden(page), 'does not fit').toEqual([])
    if (screen.moves !== true) expect.soft(await compare(page, `${screen.name}-${theme}`), 'looks as it did').toBe('')

    if (theme === 'dark') {
      expect.soft(await focusOrder(page), 'with the keyboard').toEqual([])
      await page.evaluate(() => document.documentElement.style.setProperty('font-size', '200%'))
      expect.soft(await hidden(page), 'does not fit at twice the text').toEqual([])
      await page.evaluate(() => document.documentElement.style.removeProperty('font-size'))
    }
    expect.soft(one.faults).toEqual([])
  })
})

test('The alert screen can be answered with the keyboard alone', async () => {
  const one = await at('dark')
  await one.page.goto(`${one.base}/app/alert/${house.burning}`)
  await one.page.getByRole('button', { name: critical['critical.ack'] }).waitFor()
  for (let tabs = 0; tabs < 10; tabs += 1) {
    await one.page.keyboard.press('Tab')
    if ((await one.page.evaluate(() => document.activeElement?.textContent?.trim())) === critical['critical.ack']) return
  }
  throw new Error('it is not reached in ten steps')
})

/** Animations that run, without those of less than two frames. */
const moving = (page: Page): Promise<string[]> =>
  page.evaluate(() =>
    document
      .getAnimations()
      .filter((one) => one.playState === 'running' && Number(one.effect?.getComputedTiming().duration ?? 0) > 32)
      .map((one) => `${(one as CSSAnimation).animationName ?? 'transition'} of ${((one.effect as KeyframeEffect).target as Element | null)?.className ?? ''}`),
  )

/** Pictures for the README, by `--pictures=FOLDER` and nothing else: `docs/pictures/app-*.png` are these with 256 colours. */

import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { build, type House, screens, show } from './house'
import { launch, phone, type Phone, signIn } from './phone'

const FOLDER = process.env['APP_E2E_PICTURES'] ?? ''
/** By the names of `house.ts`; nobody is signed in for the first. */
const BEST = { 'sign-in': 'sign-in', incidents: 'incidents', alert: 'critical-alert', 'incident-taken': 'incident', 'oncall-schedule': 'on-call-week', 'settings-health': 'device-health' } as const

describe.runIf(FOLDER !== '')('Pictures', () => {
  let browser: Browser
  let house: House
  let one: Phone
  beforeAll(async () => {
    browser = await launch()
    house = await build()
    one = await phone(browser, { deviceScaleFactor: 2, reducedMotion: 'reduce' })
  })
  afterAll(() => browser?.close())

  test.for(Object.entries(BEST))('%s', async ([name, called]) => {
    const screen = screens(house).find((each) => each.name === name)
    if (screen === undefined) throw new Error(name)
    await show(one.page, one.base, screen)
    await one.page.screenshot({ path: join(FOLDER, `app-${called}.png`), animations: 'disabled', caret: 'hide' })
    if (screen.isOpen === true) await signIn(one, house.lena)
  })
})

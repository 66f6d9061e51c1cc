/** Pictures for the README, with `--pictures=FOLDER` alone: `docs/pictures/app-*.png` are made of these. */

import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, test } from 'vitest'
import type { Person } from './api'
import { build, type House, screens, show } from './house'
import { launch, onPhone, signIn } from './phone'

const FOLDER = process.env['PAGER_E2E_PICTURES'] ?? ''
/** By the names of `house.ts`. */
const BEST = { 'sign-in': 'sign-in', incidents: 'incidents', alert: 'critical-alert', 'incident-taken': 'incident', 'oncall-schedule': 'on-call-week', 'settings-health': 'device-health' } as const

describe.runIf(FOLDER !== '')('Pictures', () => {
  let browser: Browser
  let house: House
  let looks: Person
  beforeAll(async () => {
    browser = await launch()
    house = await build()
    looks = house.lena
  })
  afterAll(() => browser?.close())

  test.for(Object.entries(BEST))('%s', async ([name, called]) => {
    const screen = screens(house).find((one) => one.name === name)
    if (screen === undefined) throw new Error(name)
    await onPhone(
      browser,
      async (one) => {
        if (screen.isOpen !== true) await signIn(one, looks)
        await show(one.page, one.base, screen)
        await one.page.screenshot({ path: join(FOLDER, `app-${called}.png`), animations: 'disabled', caret: 'hide' })
      },
      { deviceScaleFactor: 2, reducedMotion: 'reduce' },
    )
  })
})

// The stores' pictures, taken of a running Pager: `PAGER_URL=… PAGER_STORE_COOKIES=file node store/screenshots.mjs ios|android`
// in mobile/. The file is the JSON of Playwright's `storageState` of somebody who is signed in, with incidents that may be
// shown to everybody. Sizes: App Store Connect and Play Console, help pages on screenshots.
import { mkdirSync } from 'node:fs'
import { chromium } from 'playwright-core'

const SIZES = {
  ios: { 'iphone-6.9': [440, 956, 3], 'ipad-13': [1032, 1376, 2] },
  android: { phone: [360, 800, 3], tablet: [800, 1280, 2] },
}
const SCREENS = { incidents: '/app/incidents', oncall: '/app/oncall', settings: '/app/settings' }

const store = process.argv[2] ?? ''
const url = process.env.PAGER_URL
if (!(store in SIZES) || !url || !process.env.PAGER_STORE_COOKIES) {
  console.error('usage: PAGER_URL=https://… PAGER_STORE_COOKIES=state.json node store/screenshots.mjs ios|android')
  process.exit(2)
}
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
for (const [name, [width, height, deviceScaleFactor]] of Object.entries(SIZES[store])) {
  const folder = new URL(`./screenshots/${store}/${name}/`, import.meta.url).pathname
  mkdirSync(folder, { recursive: true })
  const context = await browser.newContext({
    storageState: process.env.PAGER_STORE_COOKIES,
    viewport: { width, height },
    deviceScaleFactor,
    colorScheme: 'dark',
    hasTouch: true,
    isMobile: true,
  })
  const page = await context.newPage()
  for (const [screen, path] of Object.entries(SCREENS)) {
    await page.goto(new URL(path, url).href, { waitUntil: 'load' })
    await page.locator('h1').first().waitFor()
    await page.screenshot({ path: `${folder}${screen}.png` })
    console.log(`${store} ${name} ${screen}`)
  }
  await context.close()
}
await browser.close()

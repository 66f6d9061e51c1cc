// The PNG icons, from public/icon.svg, by a Chromium that is there (CHROMIUM, /usr/bin/chromium).
import { readFileSync } from 'node:fs'
import { chromium } from 'playwright-core'

const here = (name) => new URL(`../public/${name}`, import.meta.url)
const svg = readFileSync(here('icon.svg'), 'utf8')
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
const page = await browser.newPage()
/** A maskable one fills its square; what may be cut off is the outer fifth. */
for (const [name, size, isMaskable] of [
  ['icon-192.png', 192, false],
  ['icon-512.png', 512, false],
  ['icon-maskable-512.png', 512, true],
]) {
  await page.setViewportSize({ width: size, height: size })
  const drawn = isMaskable ? svg.replace('rx="112" ', '').replace('viewBox="0 0 512 512"', 'viewBox="-64 -64 640 640"').replace('<rect', '<rect x="-64" y="-64"').replace('width="512" height="512"', 'width="640" height="640"') : svg
  await page.setContent(`<body style="margin:0;width:${size}px;height:${size}px">${drawn}</body>`)
  await page.screenshot({ path: here(name).pathname, omitBackground: true })
}
await browser.close()

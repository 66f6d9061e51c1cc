// The icons of the native projects, from public/icon.svg, by a Chromium that is there (CHROMIUM, /usr/bin/chromium):
// `node store/icons.mjs` in mobile/.
import { readFileSync } from 'node:fs'
import { chromium } from 'playwright-core'

const mobile = (name) => new URL(`../${name}`, import.meta.url)
const GROUND = '#121212'
const mark = readFileSync(mobile('public/icon.svg'), 'utf8').replace(/^[^]*?<rect[^>]*>/, '').replace('</svg>', '')
/** `round`: of the corners, in 512ths; `scale`: of the mark, since a launcher may cut the outer third of a foreground. */
const drawn = ({ round = 0, scale = 1, ground = true }) => `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 512 512" width="100%" height="100%">
${ground ? `<rect width="512" height="512" rx="${round}" fill="${GROUND}"/>` : ''}
<g transform="translate(256 256) scale(${scale}) translate(-256 -256)">${mark}</g></svg>`

const RES = 'android/app/src/main/res'
const APPLE = 'ios/App/App/Assets.xcassets'
const files = [[`${APPLE}/AppIcon.appiconset/AppIcon-512@2x.png`, 1024, 1024, { scale: 0.9 }, false]]
for (const [density, size] of Object.entries({ mdpi: 48, hdpi: 72, xhdpi: 96, xxhdpi: 144, xxxhdpi: 192 })) {
  files.push([`${RES}/mipmap-${density}/ic_launcher.png`, size, size, { round: 112 }, true])
  files.push([`${RES}/mipmap-${density}/ic_launcher_round.png`, size, size, { round: 256, scale: 0.8 }, true])
  files.push([`${RES}/mipmap-${density}/ic_launcher_foreground.png`, size * 2.25, size * 2.25, { scale: 0.55, ground: false }, true])
}
const splash = { mdpi: [320, 480], hdpi: [480, 800], xhdpi: [720, 1280], xxhdpi: [960, 1600], xxxhdpi: [1280, 1920] }
for (const [density, [short, long]] of Object.entries(splash)) {
  files.push([`${RES}/drawable-port-${density}/splash.png`, short, long, { scale: 0.4 }, false])
  files.push([`${RES}/drawable-land-${density}/splash.png`, long, short, { scale: 0.4 }, false])
}
files.push([`${RES}/drawable/splash.png`, 480, 320, { scale: 0.4 }, false])
for (const name of ['', '-1', '-2']) files.push([`${APPLE}/Splash.imageset/splash-2732x2732${name}.png`, 2732, 2732, { scale: 0.2 }, false])

const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox'] })
const page = await browser.newPage()
for (const [name, width, height, how, isClear] of files) {
  await page.setViewportSize({ width, height })
  const side = `${Math.min(width, height)}px`
  const ground = isClear ? 'transparent' : GROUND
  await page.setContent(
    `<body style="margin:0;height:${height}px;background:${ground};display:grid;place-items:center"><div style="width:${side};height:${side}">${drawn(how)}</div></body>`,
  )
  await page.screenshot({ path: mobile(name).pathname, omitBackground: isClear })
}
await browser.close()

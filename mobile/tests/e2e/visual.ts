/** How screens look, compared with `tests/visual/ref`: clocks, ages and numbers that change are made the same before. */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pixelmatch from 'pixelmatch'
import type { Page } from 'playwright-core'
import { PNG } from 'pngjs'
import { stopTheClock } from './phone'

const FOLDER = new URL('../visual/ref/', import.meta.url).pathname
const FONTS = join(FOLDER, 'fonts.json')
const IS_UPDATE = process.env['APP_E2E_UPDATE'] === '1'
/** Share of the pixels that may differ: edges of letters on another machine. */
const MOST_DIFFERENT = 0.004

/** '' where it looks as it did, or how much is different and where that is shown. */
export async function compare(page: Page, name: string): Promise<string> {
  if (!(await isOurFont(page))) return ''
  const taken = await picture(page)
  const path = join(FOLDER, `${name}.png`)
  if (IS_UPDATE) {
    mkdirSync(FOLDER, { recursive: true })
    writeFileSync(path, taken)
    return ''
  }
  const [is, was] = [PNG.sync.read(taken), read(path)]
  if (was === null) return `there is no ${path}: --update`
  if (is.width !== was.width || is.height !== was.height) return `it is ${is.width} × ${is.height}, and was ${was.width} × ${was.height}`
  const apart = new PNG({ width: is.width, height: is.height })
  const share = pixelmatch(is.data, was.data, apart.data, is.width, is.height, { threshold: 0.2 }) / (is.width * is.height)
  if (share <= MOST_DIFFERENT) return ''
  const shown = join(tmpdir(), `pager-app-${name}`)
  writeFileSync(`${shown}.png`, taken)
  writeFileSync(`${shown}-different.png`, PNG.sync.write(apart))
  return `${(share * 100).toFixed(2)} % of it is different: ${shown}.png, ${shown}-different.png`
}

export async function picture(page: Page): Promise<Buffer> {
  // From here on no second passes in the page.
  await stopTheClock(page)
  await page.evaluate(() => {
    scrollTo(0, 0)
    ;(document.activeElement as HTMLElement | null)?.blur()
    const nodes = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    for (let node = nodes.nextNode(); node !== null; node = nodes.nextNode()) {
      const text = node.nodeValue ?? ''
      const same = text
        .replace(/\b\d{1,2}:\d{2}(:\d{2})?\b/g, '00:00')
        .replace(/\b(now|\d+ (sec|min|hr)\.? ago)\b/g, 'now')
        .replace(/\b\d{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sept?|Oct|Nov|Dec)[a-z]*( \d{4})?\b/g, '1 Jan')
        .replace(/\b[A-Z][a-z]{2} \d{1,2}\b/g, 'Jan 1')
        .replace(/[0-9a-f]{8}-[0-9a-f-]{27}/g, '00000000')
        .replace(/127\.0\.0\.1:\d+/g, '127.0.0.1:3000')
        .replace(/\b[\w-]+-\d+-\d+@pager\.local/g, 'somebody@pager.local')
      if (same !== text) node.nodeValue = same
    }
  })
  return page.screenshot({ animations: 'disabled', caret: 'hide', scale: 'css' })
}

function read(path: string): PNG | null {
  try {
    return PNG.sync.read(readFileSync(path))
  } catch {
    return null
  }
}

let isOurs: boolean | null = null
/** Another machine's letters are of other widths: then nothing can be compared, and it says so. */
async function isOurFont(page: Page): Promise<boolean> {
  if (isOurs !== null) return isOurs
  const widths = await page.evaluate(() => {
    const pen = document.createElement('canvas').getContext('2d')
    const family = getComputedStyle(document.body).fontFamily
    return ['400 16px', '700 24px', '900 32px'].map((size) => {
      if (pen === null) return 0
      pen.font = `${size} ${family}`
      return Math.round(pen.measureText('Hamburgefonstiv 0123456789 🚨⚠️ ÄÖÜ').width * 10) / 10
    })
  })
  if (IS_UPDATE) {
    mkdirSync(FOLDER, { recursive: true })
    writeFileSync(FONTS, `${JSON.stringify({ widths })}\n`)
    return (isOurs = true)
  }
  let kept: number[] = []
  try {
    kept = (JSON.parse(readFileSync(FONTS, 'utf8')) as { widths: number[] }).widths
  } catch {
    // No pictures yet: each of them says that it is missing.
    return (isOurs = true)
  }
  isOurs = JSON.stringify(kept) === JSON.stringify(widths)
  if (!isOurs) console.warn(`\nSKIPPED: pictures are not compared: letters are ${widths.join(', ')} px wide here, and ${kept.join(', ')} where they were taken (other fonts)\n`)
  return isOurs
}

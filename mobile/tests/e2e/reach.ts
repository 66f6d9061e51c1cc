/** What a finger, a keyboard and large letters find on a screen. Each answer is a list of what is wrong. */

import type { Page } from 'playwright-core'

const TARGET = 44

/** Targets that are smaller than a finger. A link within a sentence is as high as its line. */
export const small = (page: Page): Promise<string[]> =>
  page.evaluate((least) => {
    const interactive = 'button, a[href], input:not([type="hidden"]), select, textarea, summary, [role="button"], [role="switch"], [role="tab"]'
    const found: string[] = []
    for (const node of document.querySelectorAll<HTMLElement>(interactive)) {
      const style = getComputedStyle(node)
      if (!node.checkVisibility({ visibilityProperty: true, opacityProperty: false }) || node.closest('[inert], .visually-hidden')) continue
      const modal = document.querySelector('dialog:modal')
      if (modal !== null && !modal.contains(node)) continue
      const isInSentence = node.tagName === 'A' && style.display === 'inline' && (node.parentElement?.textContent?.trim() ?? '') !== (node.textContent?.trim() ?? '')
      if (isInSentence) continue
      // What is touched of a box to tick is its label.
      const label = (node as HTMLInputElement).labels?.[0]
      const isTicked = node instanceof HTMLInputElement && ['checkbox', 'radio'].includes(node.type)
      const box = (isTicked && label ? label : node).getBoundingClientRect()
      if (box.width === 0 || box.height === 0) continue
      if (box.width < least - 0.5 || box.height < least - 0.5) {
        found.push(`${node.tagName.toLowerCase()} "${(node.getAttribute('aria-label') ?? node.textContent ?? '').trim().slice(0, 40)}" is ${Math.round(box.width)} × ${Math.round(box.height)}`)
      }
    }
    return found
  }, TARGET)

/** What is wider than the screen, or cut off. A title may end after some lines in a list: its screen has all of it. */
export const hidden = (page: Page): Promise<string[]> =>
  page.evaluate(() => {
    const found: string[] = []
    const { scrollWidth, clientWidth } = document.documentElement
    if (scrollWidth > clientWidth + 1) found.push(`the page is ${scrollWidth} wide, and the screen ${clientWidth}`)
    for (const node of document.querySelectorAll<HTMLElement>('body *')) {
      const style = getComputedStyle(node)
      const text = [...node.childNodes].filter((child) => child.nodeType === Node.TEXT_NODE).map((child) => child.textContent?.trim()).join('')
      if (text === '' || !node.checkVisibility({ visibilityProperty: true }) || node.closest('.visually-hidden, svg, option')) continue
      const says = `${node.tagName.toLowerCase()}.${node.className} "${text.slice(0, 40)}"`
      const isLimited = style.webkitLineClamp !== 'none'
      if (!isLimited && ['hidden', 'clip'].includes(style.overflowX) && node.scrollWidth > node.clientWidth + 1) found.push(`${says} is cut off at its side`)
      if (!isLimited && ['hidden', 'clip'].includes(style.overflowY) && node.scrollHeight > node.clientHeight + 3) found.push(`${says} is cut off at its end`)
      const box = around(node)
      const scrolls = node.closest('[data-scrolls]') ?? scroller(node)
      if (box.width > 0 && scrolls === null && (box.right > clientWidth + 1 || box.left < -1)) found.push(`${says} is beyond the screen`)
      if ((node.tagName === 'BUTTON' || node.tagName === 'A') && box.width > 0 && style.overflow === 'visible') {
        const own = node.getBoundingClientRect()
        if (style.display !== 'inline' && (box.right > own.right + 2 || box.bottom > own.bottom + 4)) found.push(`${says} is larger than what it stands in`)
      }
    }
    return found

    /** The words of its own, without those of what it has in it. */
    function around(node: Element): DOMRect {
      const range = document.createRange()
      const boxes = [...node.childNodes]
        .filter((child) => child.nodeType === Node.TEXT_NODE && child.textContent?.trim())
        .flatMap((child) => {
          range.selectNodeContents(child)
          return [...range.getClientRects()]
        })
      const [left, top] = [Math.min(...boxes.map((each) => each.left)), Math.min(...boxes.map((each) => each.top))]
      return new DOMRect(left, top, Math.max(...boxes.map((each) => each.right)) - left, Math.max(...boxes.map((each) => each.bottom)) - top)
    }
    function scroller(from: Element): Element | null {
      for (let node: Element | null = from; node !== null && node !== document.documentElement; node = node.parentElement) {
        if (['auto', 'scroll'].includes(getComputedStyle(node).overflowX) && node.scrollWidth > node.clientWidth) return node
      }
      return null
    }
  })

/** Everything that can be touched is reached with Tab, can be seen there, and shows that it is it. */
export async function focusOrder(page: Page): Promise<string[]> {
  const found: string[] = []
  await page.evaluate(() => {
    ;(document.activeElement as HTMLElement | null)?.blur()
    scrollTo(0, 0)
    const wanted = 'button:not([disabled]), a[href], input:not([disabled]):not([type="hidden"]), select:not([disabled]), textarea:not([disabled]), summary'
    const modal = document.querySelector('dialog:modal')
    for (const node of (modal ?? document).querySelectorAll<HTMLElement>(wanted)) {
      if (node.checkVisibility({ visibilityProperty: true }) && node.closest('[inert]') === null && node.tabIndex >= 0) node.dataset['toReach'] = ''
    }
    // Of radio buttons one is reached, and the arrows reach the rest.
    const groups = new Set<string>()
    for (const radio of document.querySelectorAll<HTMLInputElement>('input[type="radio"][data-to-reach]')) {
      const isIt = radio.checked || !document.querySelector(`input[type="radio"][name="${CSS.escape(radio.name)}"]:checked`)
      if (!isIt || groups.has(radio.name)) delete radio.dataset['toReach']
      else groups.add(radio.name)
    }
  })
  const many = await page.locator('[data-to-reach]').count()
  for (let step = 0; step < many * 2 + 10; step += 1) {
    await page.keyboard.press('Tab')
    const wrong = await page.evaluate(() => {
      const node = document.activeElement as HTMLElement | null
      if (node === null || node === document.body) return null
      delete node.dataset['toReach']
      const named = node.getAttribute('aria-label') ?? (node as HTMLInputElement).labels?.[0]?.textContent ?? node.textContent ?? ''
      const says = `${node.tagName.toLowerCase()}.${node.className} ${node.getAttribute('type') ?? ''} "${named.trim().slice(0, 40)}"`
      const style = getComputedStyle(node)
      // The little picture of a calendar is the browser's own, and so is what it shows.
      const isOfBrowser = ['date', 'datetime-local', 'time'].includes(node.getAttribute('type') ?? '')
      const around = getComputedStyle(node.closest('label') ?? node.parentElement ?? node)
      const isShown = [style, around].some((one) => (one.outlineStyle !== 'none' && parseFloat(one.outlineWidth) > 0) || one.boxShadow !== 'none')
      if (!isShown && !isOfBrowser) return `${says} does not show that it has the focus`
      const box = (node.closest('label') ?? node).getBoundingClientRect()
      if (box.width === 0) return null
      const points = [0.5, 0.1, 0.9].map((part) => document.elementFromPoint(box.left + box.width / 2, Math.min(innerHeight - 1, Math.max(0, box.top + box.height * part))))
      const isSeen = points.some((one) => one !== null && (node.contains(one) || one.contains(node) || node.closest('label')?.contains(one)))
      return isSeen ? null : `${says} has the focus behind something else`
    })
    if (wrong !== null && !found.includes(wrong)) found.push(wrong)
    if ((await page.locator('[data-to-reach]').count()) === 0) break
  }
  const missed = await page.evaluate(() =>
    [...document.querySelectorAll<HTMLElement>('[data-to-reach]')].map((node) => {
      delete node.dataset['toReach']
      return `${node.tagName.toLowerCase()} "${(node.getAttribute('aria-label') ?? node.textContent ?? '').trim().slice(0, 40)}" is not reached`
    }),
  )
  return [...found, ...missed]
}

/** Fingers: a swipe over a card, a pull at the top of the list. Each has a button that does the same. */

export interface Swipe {
  isEnabled: boolean
  /** How far it is, in pixels, and whether letting go would do it. */
  moved: (distance: number, isArmed: boolean) => void
  done: () => void
}

/** A third of the card, and at least so far. */
const FAR = 88
/** Before it is known to be one. */
const SLACK = 12

export function isFarEnough(distance: number, width: number): boolean {
  return distance >= Math.max(FAR, width / 3)
}

/** In the direction of reading, by touch or pen: a mouse has the button. */
export function swipe(node: HTMLElement, options: Swipe) {
  let at = options
  let start: { x: number; y: number; id: number } | null = null
  let isSwiping = false
  let isArmed = false
  node.style.touchAction = 'pan-y'

  const distanceOf = (event: PointerEvent) => {
    const across = event.clientX - (start?.x ?? event.clientX)
    return Math.max(0, getComputedStyle(node).direction === 'rtl' ? -across : across)
  }
  const down = (event: PointerEvent) => {
    // Also where there is nothing to swipe any more: a finger makes no click at its end, and the next one is meant.
    isSwiping = isArmed = false
    if (!at.isEnabled || event.pointerType === 'mouse' || !event.isPrimary) return
    start = { x: event.clientX, y: event.clientY, id: event.pointerId }
  }
  const move = (event: PointerEvent) => {
    if (start === null || event.pointerId !== start.id) return
    const distance = distanceOf(event)
    if (!isSwiping) {
      if (Math.abs(event.clientY - start.y) > SLACK) start = null
      if (start === null || distance < SLACK) return
      isSwiping = true
      node.setPointerCapture?.(event.pointerId)
    }
    isArmed = isFarEnough(distance, node.clientWidth)
    at.moved(distance, isArmed)
  }
  const up = (event: PointerEvent) => {
    if (start === null || event.pointerId !== start.id) return
    const isDone = isSwiping && isArmed && event.type === 'pointerup'
    start = null
    if (isSwiping) at.moved(0, false)
    if (isDone) at.done()
  }
  // The click that ends a swipe opens nothing.
  const click = (event: MouseEvent) => {
    if (!isSwiping) return
    isSwiping = false
    event.preventDefault()
    event.stopPropagation()
  }
  node.addEventListener('pointerdown', down)
  node.addEventListener('pointermove', move)
  node.addEventListener('pointerup', up)
  node.addEventListener('pointercancel', up)
  node.addEventListener('click', click, true)
  return {
    update: (next: Swipe) => {
      at = next
    },
    destroy: () => {
      node.removeEventListener('pointerdown', down)
      node.removeEventListener('pointermove', move)
      node.removeEventListener('pointerup', up)
      node.removeEventListener('pointercancel', up)
      node.removeEventListener('click', click, true)
    },
  }
}

export interface Pull {
  /** 0 to 1; 1 does it. */
  pulled: (share: number) => void
  done: () => void
}
const PULL = 72

/** Down from the very top of the page. */
export function pull(node: HTMLElement, options: Pull) {
  let from: number | null = null
  let share = 0
  const start = (event: TouchEvent) => {
    from = scrollY <= 0 && event.touches.length === 1 ? (event.touches[0]?.clientY ?? null) : null
  }
  const move = (event: TouchEvent) => {
    if (from === null) return
    share = Math.min(1, Math.max(0, ((event.touches[0]?.clientY ?? from) - from) / 2 / PULL))
    if (scrollY > 0) share = 0
    options.pulled(share)
  }
  const end = () => {
    if (from === null) return
    from = null
    const isDone = share >= 1
    share = 0
    options.pulled(0)
    if (isDone) options.done()
  }
  node.addEventListener('touchstart', start, { passive: true })
  node.addEventListener('touchmove', move, { passive: true })
  node.addEventListener('touchend', end)
  node.addEventListener('touchcancel', end)
  return {
    destroy: () => {
      node.removeEventListener('touchstart', start)
      node.removeEventListener('touchmove', move)
      node.removeEventListener('touchend', end)
      node.removeEventListener('touchcancel', end)
    },
  }
}

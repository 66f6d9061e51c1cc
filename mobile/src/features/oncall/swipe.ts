/** An attachment: a swipe to a side of at least 60 px, more along the line than across it. The page still scrolls up and down. */

const FAR = 60

export function swipe(sideways: (step: 1 | -1) => void): (node: HTMLElement) => () => void {
  return (node) => {
    let from: { x: number; y: number } | null = null
    const down = (event: PointerEvent) => {
      from = event.isPrimary && event.pointerType !== 'mouse' ? { x: event.clientX, y: event.clientY } : null
    }
    const up = (event: PointerEvent) => {
      if (from === null) return
      const x = event.clientX - from.x
      const y = event.clientY - from.y
      from = null
      if (Math.abs(x) < FAR || Math.abs(x) < 2 * Math.abs(y)) return
      const isRtl = getComputedStyle(node).direction === 'rtl'
      sideways(x < 0 !== isRtl ? 1 : -1)
    }
    const gone = () => (from = null)
    node.style.touchAction = 'pan-y'
    node.addEventListener('pointerdown', down)
    node.addEventListener('pointerup', up)
    node.addEventListener('pointercancel', gone)
    return () => {
      node.removeEventListener('pointerdown', down)
      node.removeEventListener('pointerup', up)
      node.removeEventListener('pointercancel', gone)
    }
  }
}

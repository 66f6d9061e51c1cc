import { describe, expect, it, vi } from 'vitest'
import { isFarEnough, pull, swipe } from '../../src/features/incidents/gestures'

const pointer = (type: string, x: number, y = 0, more: object = {}) =>
  Object.assign(new MouseEvent(type, { clientX: x, clientY: y, bubbles: true, cancelable: true }), { pointerId: 1, pointerType: 'touch', isPrimary: true, ...more })

function card(isEnabled = true) {
  const node = document.createElement('article')
  Object.defineProperty(node, 'clientWidth', { value: 360 })
  const [moved, done] = [vi.fn(), vi.fn()]
  return { node, moved, done, action: swipe(node, { isEnabled, moved, done }), drag: (...events: Event[]) => events.forEach((event) => node.dispatchEvent(event)) }
}

describe('a swipe', () => {
  it('is done where it is let go after a third of the card, and opens nothing', () => {
    const { node, moved, done, drag, action } = card()
    const opened = vi.fn()
    node.addEventListener('click', opened)
    drag(pointer('pointerdown', 0), pointer('pointermove', 60), pointer('pointermove', 121))
    expect(moved.mock.calls).toEqual([[60, false], [121, true]])
    drag(pointer('pointerup', 121))
    expect(done).toHaveBeenCalledOnce()
    expect(moved).toHaveBeenLastCalledWith(0, false)
    node.click()
    expect(opened).not.toHaveBeenCalled()
    node.click()
    expect(opened).toHaveBeenCalledOnce()
    action.destroy()
    drag(pointer('pointerdown', 0), pointer('pointermove', 200), pointer('pointerup', 200))
    expect(done).toHaveBeenCalledOnce()
  })
  it('of a finger makes no click at its end, and the next one is meant', () => {
    const { node, drag, action, moved, done } = card()
    const undone = vi.fn()
    node.addEventListener('click', undone)
    drag(pointer('pointerdown', 0), pointer('pointermove', 200), pointer('pointerup', 200))
    // It was acknowledged by that, and cannot be swiped any more.
    action.update({ isEnabled: false, moved, done })
    drag(pointer('pointerdown', 300), pointer('pointerup', 300))
    node.click()
    expect(undone).toHaveBeenCalledOnce()
  })
  it.each([
    ['short', [pointer('pointerdown', 0), pointer('pointermove', 80), pointer('pointerup', 80)]],
    ['taken back', [pointer('pointerdown', 0), pointer('pointermove', 200), pointer('pointermove', 10), pointer('pointerup', 10)]],
    ['a scroll', [pointer('pointerdown', 0), pointer('pointermove', 5, 40), pointer('pointermove', 300, 40), pointer('pointerup', 300, 40)]],
    ['the wrong way', [pointer('pointerdown', 300), pointer('pointermove', 0), pointer('pointerup', 0)]],
    ['ended by the system', [pointer('pointerdown', 0), pointer('pointermove', 200), pointer('pointercancel', 200)]],
    ['a mouse', [pointer('pointerdown', 0, 0, { pointerType: 'mouse' }), pointer('pointermove', 200), pointer('pointerup', 200)]],
    ['another finger', [pointer('pointerdown', 0), pointer('pointermove', 200, 0, { pointerId: 2 }), pointer('pointerup', 200, 0, { pointerId: 2 })]],
  ])('that is %s does nothing', (_name, events) => {
    const { done, drag } = card()
    drag(...events)
    expect(done).not.toHaveBeenCalled()
  })
  it('goes the way that is read, and where it is allowed', () => {
    const { node, done, drag, action } = card(false)
    drag(pointer('pointerdown', 0), pointer('pointermove', 200), pointer('pointerup', 200))
    expect(done).not.toHaveBeenCalled()
    action.update({ isEnabled: true, moved: vi.fn(), done })
    document.body.append(node)
    node.style.direction = 'rtl'
    drag(pointer('pointerdown', 300), pointer('pointermove', 100), pointer('pointerup', 100))
    expect(done).toHaveBeenCalledOnce()
    expect([isFarEnough(100, 390), isFarEnough(130, 390), isFarEnough(80, 100)]).toEqual([false, true, false])
  })
})

describe('a pull', () => {
  const touch = (type: string, y: number, fingers = 1) => Object.assign(new Event(type), { touches: Array.from({ length: fingers }, () => ({ clientY: y })) })
  it('at the very top refreshes once it is long enough', () => {
    const node = document.createElement('div')
    const [pulled, done] = [vi.fn(), vi.fn()]
    const action = pull(node, { pulled, done })
    const drag = (...events: Event[]) => events.forEach((event) => node.dispatchEvent(event))
    drag(touch('touchmove', 300), touch('touchend', 0))
    drag(touch('touchstart', 0), touch('touchmove', 72), touch('touchend', 72))
    expect([done.mock.calls.length, pulled.mock.calls]).toEqual([0, [[0.5], [0]]])
    drag(touch('touchstart', 0, 2), touch('touchmove', 300), touch('touchend', 300))
    expect(done).not.toHaveBeenCalled()
    drag(touch('touchstart', 0), touch('touchmove', 200), touch('touchend', 200))
    expect(done).toHaveBeenCalledOnce()
    vi.stubGlobal('scrollY', 50)
    drag(touch('touchstart', 0), touch('touchmove', 200), touch('touchend', 200))
    expect(done).toHaveBeenCalledOnce()
    vi.stubGlobal('scrollY', 0)
    action.destroy()
    drag(touch('touchstart', 0), touch('touchmove', 200), touch('touchend', 200))
    expect(done).toHaveBeenCalledOnce()
  })
})

/** Short messages at the bottom, one at a time, with at most one thing to do about it. */

export interface Toast {
  id: number
  text: string
  kind: 'info' | 'error'
  action?: { label: string; run: () => void }
}

const LASTS = 6_000

class Toasts {
  shown = $state.raw<Toast | null>(null)
  private next = 1
  private timer: ReturnType<typeof setTimeout> | null = null

  show(text: string, options: { kind?: Toast['kind']; action?: Toast['action']; lasts?: number } = {}): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.shown = { id: this.next++, text, kind: options.kind ?? 'info', ...(options.action ? { action: options.action } : {}) }
    this.timer = setTimeout(() => this.hide(), options.lasts ?? LASTS)
  }

  hide(): void {
    if (this.timer !== null) clearTimeout(this.timer)
    this.timer = null
    this.shown = null
  }
}

export const toasts = new Toasts()

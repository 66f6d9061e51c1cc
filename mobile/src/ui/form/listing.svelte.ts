/** A list of the API, page after page. What comes late for an older question is not shown. */

export interface Page<Item> {
  items: readonly Item[]
  nextCursor: string | null
  total: number | null
}

export class Listing<Item extends { id: string }> {
  items = $state.raw<readonly Item[]>([])
  total = $state<number | null>(null)
  isLoading = $state(false)
  /** Nothing has been answered yet. */
  isFirst = $state(true)
  error = $state.raw<unknown>(null)
  private next = $state<string | null>(null)
  private asked = 0

  constructor(private readonly ask: (cursor: string | undefined) => Promise<Page<Item>>) {}

  readonly hasMore = $derived(this.next !== null)

  /** From the beginning, as the question is now. */
  async load(): Promise<void> {
    await this.fetch(undefined)
  }

  async more(): Promise<void> {
    if (this.next !== null && !this.isLoading) await this.fetch(this.next)
  }

  put(item: Item): void {
    const isThere = this.items.some((one) => one.id === item.id)
    this.items = isThere ? this.items.map((one) => (one.id === item.id ? item : one)) : [item, ...this.items]
  }

  remove(id: string): void {
    this.items = this.items.filter((one) => one.id !== id)
  }

  private async fetch(cursor: string | undefined): Promise<void> {
    const mine = (this.asked += 1)
    this.isLoading = true
    this.error = null
    try {
      const page = await this.ask(cursor)
      if (mine !== this.asked) return
      const before = cursor === undefined ? [] : this.items
      const known = new Set(before.map((one) => one.id))
      this.items = [...before, ...page.items.filter((one) => !known.has(one.id))]
      this.next = page.nextCursor
      this.total = page.total
      this.isFirst = false
    } catch (error) {
      if (mine === this.asked) this.error = error
    } finally {
      if (mine === this.asked) this.isLoading = false
    }
  }
}

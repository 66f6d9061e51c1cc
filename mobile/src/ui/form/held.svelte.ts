/** One thing of the API with the version that was seen: what is changed is changed as of that, or not at all. */

import { ApiError } from '../../core/errors'

export interface Seen<Value> {
  value: Value
  etag: string | null
}

export class Held<Value> {
  value = $state.raw<Value | null>(null)
  error = $state.raw<unknown>(null)
  isLoading = $state(false)
  private etag: string | null = null
  private asked = 0

  constructor(private readonly ask: () => Promise<Seen<Value>>) {}

  readonly isGone = $derived.by(() => this.error instanceof ApiError && this.error.status === 404)

  /** For `ifMatch`. */
  get version(): { ifMatch?: string } {
    return this.etag === null ? {} : { ifMatch: this.etag }
  }

  async load(): Promise<void> {
    const mine = (this.asked += 1)
    this.isLoading = true
    this.error = null
    try {
      const seen = await this.ask()
      if (mine === this.asked) this.put(seen)
    } catch (error) {
      if (mine === this.asked) this.error = error
    } finally {
      if (mine === this.asked) this.isLoading = false
    }
  }

  /** The answer to a change. */
  put(seen: Seen<Value>): void {
    this.value = seen.value
    this.etag = seen.etag
  }
}

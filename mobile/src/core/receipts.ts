/** What this device says of pages: received, displayed, opened. Kept until the gateway has heard it; twice is once. */

import type { Api } from './api'
import type { Clock } from './clock'
import type { Database } from './db'
import { ApiError } from './errors'

export type ReceiptState = 'received' | 'displayed' | 'opened'

interface Kept {
  notificationId: string
  state: ReceiptState
  at: string
}

const PREFIX = 'receipt:'
/** Nothing follows from one that is lost: the oldest go. */
const MOST = 100
const TIMEOUT = 5_000

export class Receipts {
  private sending: Promise<void> | null = null

  constructor(
    private readonly db: Database,
    private readonly api: Pick<Api, 'raw'>,
    private readonly clock: Clock,
  ) {}

  /** It has happened now. Never raises: a page is shown whatever becomes of this. */
  async say(notificationId: string, ...states: ReceiptState[]): Promise<void> {
    const at = new Date(this.clock.now()).toISOString()
    try {
      for (const state of states) await this.db.set(`${PREFIX}${notificationId}:${state}`, { notificationId, state, at })
    } catch {
      return
    }
    await this.flush()
  }

  /** Say what was not heard. Never raises. */
  async flush(): Promise<void> {
    this.sending ??= this.send()
      .catch(() => undefined)
      .finally(() => {
        this.sending = null
      })
    await this.sending
  }

  async waiting(): Promise<number> {
    return (await this.db.settingsOf<Kept>(PREFIX)).size
  }

  private async send(): Promise<void> {
    const kept = [...(await this.db.settingsOf<Kept>(PREFIX))].sort(([, one], [, other]) => (one.at < other.at ? -1 : 1))
    for (const [name] of kept.splice(0, Math.max(0, kept.length - MOST))) await this.db.set(name, null)
    for (const [name, { notificationId, state, at }] of kept) {
      try {
        const path = { id: notificationId }
        await this.api.raw('post', '/api/v1/notifications/{id}/receipts', { path, body: { state, at }, idempotencyKey: name, timeout: TIMEOUT })
      } catch (error) {
        if (!(error instanceof ApiError) || error.isTemporary) return
      }
      await this.db.set(name, null)
    }
  }
}

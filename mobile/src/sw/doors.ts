/** What a service worker asks the gateway: by the device's key where that opens the door, also while nobody is signed in. */

import type { Api, Method, RawOptions, Reply } from '../core/api'
import type { Clock } from '../core/clock'
import type { Database } from '../core/db'
import { askAsDevice } from '../core/devicekey'
import { ApiError, errorOf, foreign } from '../core/errors'

const OPENED: readonly string[] = ['/api/v1/incidents/{id}/acknowledge', '/api/v1/notifications/{id}/receipts']
const TIMEOUT = 10_000

export class Doors implements Pick<Api, 'raw'> {
  constructor(
    private readonly db: Database,
    private readonly clock: Clock,
    private readonly api: Pick<Api, 'raw'>,
    private readonly send: typeof fetch = (...given) => fetch(...given),
  ) {}

  /** As `Api.raw`; the session is asked where the device's key does not do. */
  async raw(method: Method, path: string, options: RawOptions = {}): Promise<Reply> {
    if (method === 'post' && OPENED.includes(path)) {
      const reply = await this.asDevice(path, options)
      if (reply !== null) return reply
    }
    return this.api.raw(method, path, options)
  }

  /** null: there is no credential, or it is not good any more. */
  private async asDevice(path: string, { path: names = {}, body, idempotencyKey, timeout = TIMEOUT }: RawOptions): Promise<Reply | null> {
    const filled = path.replace('{id}', encodeURIComponent(names['id'] ?? ''))
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort(), timeout)
    const send: typeof fetch = (address, init) => this.send(address, { ...init, cache: 'no-store', redirect: 'error', signal: abort.signal })
    try {
      const asked = { body, send, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) }
      const answer = await askAsDevice(this.db, this.clock, 'POST', filled, asked)
      if (answer === null) return null
      const said: unknown = await answer.json().catch(() => null)
      if (answer.status === 401) return null
      if (!answer.ok) throw errorOf(answer.status, said, answer.headers.get('Retry-After'))
      if ((said as { success?: unknown } | null)?.success !== true) throw foreign(answer.status)
      return { status: answer.status, body: said, etag: answer.headers.get('ETag') }
    } catch (error) {
      if (error instanceof ApiError) throw error
      throw new ApiError(0, abort.signal.aborted ? 'TIMEOUT' : 'NETWORK', 'the gateway cannot be reached')
    } finally {
      clearTimeout(timer)
    }
  }
}

import type { components } from './schema'

export type ErrorDetails = components['schemas']['ErrorDetails']
/** The gateway's codes, and four of our own for what it did not say. */
export type ErrorCode = components['schemas']['ErrorBody']['code'] | 'NETWORK' | 'TIMEOUT' | 'BAD_ANSWER' | 'SIGNED_OUT'

/** Why a request was not done. `status` is 0 where the gateway has not answered. */
export class ApiError extends Error {
  override readonly name = 'ApiError'

  constructor(
    readonly status: number,
    readonly code: ErrorCode,
    message: string,
    readonly details: Partial<ErrorDetails> = {},
    /** Seconds after which it may be asked again, where the gateway has said so. */
    readonly retryAfter: number | null = null,
  ) {
    super(message)
  }

  /** Nothing was heard: it may have been done all the same. */
  get isOffline(): boolean {
    return this.code === 'NETWORK' || this.code === 'TIMEOUT'
  }

  /** The same request may be done later without anybody changing it. */
  get isTemporary(): boolean {
    return this.status === 0 || this.status === 401 || this.status === 408 || this.status === 429 || this.status >= 500
  }
}

type Said = { code?: unknown; message?: unknown; details?: unknown }

/** What answers in the gateway's place, such as the network of a hotel, decides nothing: neither that a session is over nor that something is gone. */
export function foreign(status: number, retryAfter: number | null = null): ApiError {
  return new ApiError(0, 'BAD_ANSWER', `not the gateway's: HTTP ${status}`, {}, retryAfter)
}

/** What an answer that is no success says. One of something between us and the gateway has no envelope. */
export function errorOf(status: number, body: unknown, retryAfter: string | null): ApiError {
  const said = typeof body === 'object' && body !== null ? (body as { error?: Said }).error : undefined
  const seconds = retryAfter === null ? Number.NaN : Number(retryAfter)
  const wait = Number.isFinite(seconds) && seconds >= 0 ? Math.min(seconds, 3600) : null
  if (typeof said !== 'object' || said === null || typeof said.code !== 'string') {
    return foreign(status, wait)
  }
  const details = typeof said.details === 'object' && said.details !== null ? (said.details as Partial<ErrorDetails>) : {}
  const message = typeof said.message === 'string' ? said.message : `HTTP ${status}`
  return new ApiError(status, said.code as ErrorCode, message, details, wait)
}

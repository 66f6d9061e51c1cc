/** The gateway's HTTP API, typed by its own description (`schema.d.ts`). */

import type { Clock } from './clock'
import { ApiError, errorOf, foreign } from './errors'
import type { components, paths } from './schema'

export { ApiError } from './errors'
export type Schemas = components['schemas']
export type Incident = Schemas['IncidentView']
export type User = Schemas['UserView']
export type Jwk = Schemas['DeviceKey']

export type Method = 'get' | 'post' | 'put' | 'patch' | 'delete'
type Json<T> = T extends { content: { 'application/json': infer Body } } ? Body : never
type Operation<P extends keyof paths, M extends Method> = NonNullable<paths[P][M]>
type Answer<O> = O extends { responses: infer R } ? Json<R[Extract<keyof R, 200 | 201 | 202>]> : never
/** `data` of the answer to a method of a path. */
export type Data<P extends keyof paths, M extends Method> = Answer<Operation<P, M>> extends { data: infer D } ? D : never
/** The whole answer, with `pagination` or `meta` where there are some. */
export type Whole<P extends keyof paths, M extends Method> = Answer<Operation<P, M>>
export type Body<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { requestBody?: infer B } ? Json<NonNullable<B>> : never
type Query<P extends keyof paths, M extends Method> =
  Operation<P, M> extends { parameters: { query?: infer Q } } ? Partial<NonNullable<Q>> : never
/** Paths that have this method. */
export type PathOf<M extends Method> = {
  [P in keyof paths]: paths[P][M] extends undefined ? never : paths[P] extends Record<M, unknown> ? P : never
}[keyof paths]

export interface Options<P extends keyof paths, M extends Method> {
  path?: Record<string, string>
  query?: Query<P, M> | Record<string, string | number | boolean | undefined>
  body?: Body<P, M>
  /** A version as the gateway's ETag has it. */
  ifMatch?: string
  /** Otherwise a new one: name one where the same thing may be sent twice. */
  idempotencyKey?: string
  /** Milliseconds. */
  timeout?: number
  signal?: AbortSignal
  /** `none`: nobody is signed in yet; a text: this token. Otherwise the session's. */
  token?: 'none' | (string & {})
}

/** Where tokens come from: `auth.ts`. */
export interface Tokens {
  /** A token that is good for now, or null where nobody is signed in. */
  get(): Promise<string | null>
  /** Another one, since `refused` was refused. */
  renew(refused: string): Promise<string | null>
}

export interface Reply {
  status: number
  body: unknown
  etag: string | null
}

const TIMEOUT = 10_000
/** Characters. Browsers refuse 64 kB of what goes on after a page. */
const MOST_KEPT_ALIVE = 8_000

export class Api {
  /** '' where the gateway serves this page. */
  base = ''
  tokens: Tokens | null = null
  /** Told of each request: whether the gateway was heard. What `offline` is made of (`online.svelte.ts`). */
  heard: (ok: boolean) => void = () => {}

  constructor(
    private readonly clock: Clock,
    private readonly client: 'app' | 'web',
    private readonly send: typeof fetch = (...given) => fetch(...given),
  ) {}

  get<P extends PathOf<'get'>>(path: P, options: Options<P, 'get'> = {}): Promise<Data<P, 'get'>> {
    return this.data('get', path, options)
  }
  post<P extends PathOf<'post'>>(path: P, options: Options<P, 'post'> = {}): Promise<Data<P, 'post'>> {
    return this.data('post', path, options)
  }
  put<P extends PathOf<'put'>>(path: P, options: Options<P, 'put'> = {}): Promise<Data<P, 'put'>> {
    return this.data('put', path, options)
  }
  patch<P extends PathOf<'patch'>>(path: P, options: Options<P, 'patch'> = {}): Promise<Data<P, 'patch'>> {
    return this.data('patch', path, options)
  }
  delete<P extends PathOf<'delete'>>(path: P, options: Options<P, 'delete'> = {}): Promise<Data<P, 'delete'>> {
    return this.data('delete', path, options)
  }

  private async data<P extends keyof paths, M extends Method>(
    method: M,
    path: P,
    options: Options<P, M>,
  ): Promise<Data<P, M>> {
    const { body } = await this.raw(method, path, options as RawOptions)
    return (body as { data: Data<P, M> }).data
  }

  /** The whole answer (for `pagination`, or the ETag). Raises ApiError. */
  async whole<P extends keyof paths, M extends Method>(
    method: M,
    path: P,
    options: Options<P, M> = {},
  ): Promise<{ body: Whole<P, M>; etag: string | null }> {
    const reply = await this.raw(method, path, options as RawOptions)
    return { body: reply.body as Whole<P, M>, etag: reply.etag }
  }

  /** A path that is known only when it is asked, as the outbox has them. Raises ApiError. */
  async raw(method: Method, path: string, options: RawOptions = {}): Promise<Reply> {
    const token = options.token === 'none' ? null : (options.token ?? (await this.tokens?.get()) ?? null)
    if (token === null && options.token !== 'none' && this.tokens !== null) {
      throw new ApiError(401, 'SIGNED_OUT', 'nobody is signed in')
    }
    // Once for both tries: the second one must not do it again.
    const key = options.idempotencyKey ?? crypto.randomUUID()
    try {
      return await this.once(method, path, options, token, key)
    } catch (error) {
      const isOver = error instanceof ApiError && error.status === 401 && error.code === 'UNAUTHENTICATED'
      if (!isOver || token === null || options.token !== undefined) throw error
      const renewed = (await this.tokens?.renew(token)) ?? null
      if (renewed === null) throw error
      return this.once(method, path, options, renewed, key)
    }
  }

  private async once(method: Method, path: string, options: RawOptions, token: string | null, key: string): Promise<Reply> {
    const url = this.base + address(path, options.path, options.query)
    const headers: Record<string, string> = { Accept: 'application/json', 'Pager-Client': this.client }
    if (token !== null) headers['Authorization'] = `Bearer ${token}`
    if (options.body !== undefined) headers['Content-Type'] = 'application/json'
    if (method === 'post' && !path.startsWith('/api/v1/auth/')) headers['Idempotency-Key'] = key
    if (options.ifMatch !== undefined) headers['If-Match'] = options.ifMatch

    const body = options.body === undefined ? null : JSON.stringify(options.body)
    const abort = new AbortController()
    const timer = setTimeout(() => abort.abort('timeout'), options.timeout ?? TIMEOUT)
    const given = options.signal
    const stop = () => abort.abort('given up')
    if (given?.aborted) stop()
    given?.addEventListener('abort', stop, { once: true })
    const askedAt = this.clock.raw()
    try {
      const answer = await this.send(url, {
        method: method.toUpperCase(),
        headers,
        body,
        credentials: this.client === 'web' ? 'same-origin' : 'omit',
        cache: 'no-store',
        redirect: 'error',
        signal: abort.signal,
        ...(options.keepalive === true && (body ?? '').length <= MOST_KEPT_ALIVE ? { keepalive: true } : {}),
      })
      this.clock.correct(answer.headers.get('Date'), askedAt)
      const text = await answer.text()
      const reply = read(answer, text, path)
      this.heard(true)
      return reply
    } catch (error) {
      if (error instanceof ApiError) {
        // Also where it says that a part of it is away, or maintained: somebody who reads "offline" looks at their own network.
        this.heard(error.status !== 0)
        throw error
      }
      if (given?.aborted) throw error
      this.heard(false)
      const isLate = abort.signal.aborted
      throw new ApiError(0, isLate ? 'TIMEOUT' : 'NETWORK', isLate ? 'no answer in time' : 'the gateway cannot be reached')
    } finally {
      clearTimeout(timer)
      given?.removeEventListener('abort', stop)
    }
  }
}

export interface RawOptions {
  path?: Record<string, string>
  query?: Record<string, string | number | boolean | undefined>
  body?: unknown
  ifMatch?: string
  idempotencyKey?: string
  timeout?: number
  signal?: AbortSignal
  token?: string
  /** It goes on while the page that has asked is left. */
  keepalive?: boolean
}

/** The envelope is how the gateway is known. */
function read(answer: Response, text: string, path: string): Reply {
  let body: unknown
  try {
    body = text === '' ? null : JSON.parse(text)
  } catch {
    body = undefined
  }
  if (!answer.ok) throw errorOf(answer.status, body, answer.headers.get('Retry-After'))
  const isOurs = typeof body === 'object' && body !== null && (!path.startsWith('/api/v1/') || (body as { success?: unknown }).success === true)
  if (!isOurs) throw foreign(answer.status)
  return { status: answer.status, body, etag: answer.headers.get('ETag') }
}

/** A path with its names filled in. An id is one segment, whatever is in it. */
function address(path: string, names: Record<string, string> = {}, query: RawOptions['query'] = {}): string {
  const filled = path.replace(/\{(\w+)\}/g, (_whole, name: string) => {
    const value = names[name]
    if (value === undefined || value === '' || value === '.' || value === '..') throw new Error(`${path} needs ${name}`)
    return encodeURIComponent(value)
  })
  const asked = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) if (value !== undefined) asked.set(name, String(value))
  const text = asked.toString()
  return text === '' ? filled : `${filled}?${text}`
}

/** Signing in, step by step: what the gateway asks for next is what the screen asks for. */

import type { Schemas } from '../../core/api'
import { app } from '../../core/app.svelte'
import { ApiError } from '../../core/errors'
import { t } from '../../core/i18n'
import { errorText } from '../../core/words'
import { isPhone } from '../../native/platform'
import { solve } from './captcha'

export type Step = 'server' | 'password' | 'totp' | 'replace'
type Held = Schemas['HeldDevice']

export class SignIn {
  step = $state<Step>('password')
  email = $state('')
  password = $state('')
  totp = $state('')
  server = $state('')
  isBusy = $state(false)
  isSolving = $state(false)
  error = $state<string | null>(null)
  devices = $state.raw<readonly Held[]>([])
  /** Where a second factor is set up by this sign-in. */
  setUp = $state.raw<{ secret: string; uri: string } | null>(null)
  hasProvider = $state(false)
  private replace: string | null = null
  private captcha: string | null = null
  private code: string | null = null
  private again = false

  constructor() {
    this.server = app.api.base
    if (isPhone && this.server === '') this.step = 'server'
  }

  /** A phone asks where its Pager is, and whether it is one. */
  async chooseServer(): Promise<void> {
    const address = serverAddress(this.server)
    if (address === null) {
      this.error = t('auth.serverBad')
      return
    }
    await this.busy(async () => {
      const before = app.api.base
      app.api.base = address
      try {
        await app.api.raw('get', '/api/health/live', { token: 'none', timeout: 8_000 })
      } catch (error) {
        app.api.base = before
        this.error = error instanceof ApiError && error.isOffline ? errorText(error) : t('auth.serverNone')
        return
      }
      await app.useServer(address)
      this.step = 'password'
    })
  }

  async submit(replace: string | null = null): Promise<void> {
    this.replace = replace ?? this.replace
    const totp = this.totp.replace(/\s/g, '')
    await this.busy(async () => {
      const more = { ...(totp === '' ? {} : { totp }), ...(this.replace === null ? {} : { replace: this.replace }) }
      const signedIn =
        this.code !== null
          ? await app.auth.finishOidc(this.code, more)
          : await app.auth.signIn({
              email: this.email.trim(),
              password: this.password,
              ...more,
              ...(this.captcha === null ? {} : { captcha: this.captcha }),
            })
      this.password = this.totp = ''
      this.code = null
      app.recoveryCodes = signedIn.recoveryCodes ?? []
    })
  }

  /** Back from the provider, with a code of theirs that is good once. */
  async returned(code: string): Promise<void> {
    this.code = code
    await this.submit()
  }

  /** Whether there is a provider to sign in at: without one its door is not there. */
  async findProvider(): Promise<void> {
    try {
      this.hasProvider = (await app.api.get('/api/v1/auth/methods', { token: 'none', timeout: 5_000 })).provider
    } catch {
      this.hasProvider = false // away, or a gateway without this door: the password is there in any case
    }
  }

  async goToProvider(): Promise<void> {
    const home = isPhone ? 'pager://oidc' : `${location.origin}/app/oidc`
    location.assign(await app.auth.oidcAddress(home))
  }

  private async busy(work: () => Promise<void>): Promise<void> {
    if (this.isBusy) return
    this.isBusy = true
    this.error = null
    try {
      await app.ready
      await work()
    } catch (error) {
      await this.asked(error)
    } finally {
      this.isBusy = false
    }
    if (this.again) {
      this.again = false
      await this.submit()
    }
  }

  /** What the gateway wants beside the password. */
  private async asked(error: unknown): Promise<void> {
    this.captcha = null
    if (!(error instanceof ApiError)) {
      app.reports.error(error, 'sign-in')
      this.error = errorText(error)
      return
    }
    const { code, details } = error
    if (code === 'SECOND_FACTOR_REQUIRED') {
      if (this.step === 'totp') this.error = t('auth.totpWrong')
      this.setUp = details.totp ?? null
      this.totp = ''
      this.step = 'totp'
    } else if (code === 'CAPTCHA_REQUIRED' && details.captcha) {
      this.isSolving = true
      try {
        this.captcha = await solve(details.captcha)
        this.again = true
      } finally {
        this.isSolving = false
      }
    } else if (code === 'CONFLICT' && details.devices) {
      this.devices = details.devices
      this.step = 'replace'
    } else if (code === 'UNAUTHENTICATED') {
      this.step = this.step === 'totp' ? 'totp' : 'password'
      this.error = t(this.step === 'totp' ? 'auth.totpWrong' : 'auth.wrong')
    } else this.error = errorText(error)
  }
}

/** https, and nothing but a host; plain http only on this machine, for development. */
export function serverAddress(text: string): string | null {
  const trimmed = text.trim()
  try {
    const url = new URL(/^[a-z]+:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`)
    const isLocal = ['localhost', '127.0.0.1', '10.0.2.2'].includes(url.hostname)
    if (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLocal)) return null
    return url.username === '' && url.password === '' ? url.origin : null
  } catch {
    return null
  }
}

/** Who somebody is, and how they show it: profile, password, second factor. */

import type { Schemas } from '../../core/api'
import { app } from '../../core/app.svelte'
import { ApiError } from '../../core/errors'
import { t } from '../../core/i18n'
import { errorText } from '../../core/words'
import { toasts } from '../../ui/toasts.svelte'

/** What is wrong, and with which field; '' : with none of them. */
export interface Fault {
  field: string
  text: string
}

export class Form {
  isBusy = $state(false)
  fault = $state.raw<Fault | null>(null)

  /** The sentence for a field, for `Field`'s `error`. */
  of(...fields: string[]): string | null {
    return this.fault !== null && fields.includes(this.fault.field) ? this.fault.text : null
  }

  /** What belongs to none of these fields. */
  other(...fields: string[]): string | null {
    return this.fault !== null && !fields.includes(this.fault.field) ? this.fault.text : null
  }

  protected async busy(work: () => Promise<void>): Promise<void> {
    if (this.isBusy) return
    this.isBusy = true
    this.fault = null
    try {
      await work()
    } catch (error) {
      this.fault = { field: error instanceof ApiError ? (error.details.field ?? '') : '', text: errorText(error) }
    } finally {
      this.isBusy = false
    }
  }
}

type Values = Record<'firstName' | 'lastName' | 'phone' | 'timezone', string>

export class Profile extends Form {
  firstName = $state('')
  lastName = $state('')
  phone = $state('')
  timezone = $state('')
  private etag: string | null = null
  /** As it was read: what is different from that was typed. */
  private base: Values = { firstName: '', lastName: '', phone: '', timezone: '' }

  constructor() {
    super()
    this.fill()
  }

  /** As it is kept; then as the gateway has it. */
  async load(): Promise<void> {
    await this.busy(async () => {
      await this.read()
    })
  }

  async save(): Promise<void> {
    await this.busy(async () => {
      const phone = this.phone.replace(/[\s()/.-]/g, '')
      const body = { firstName: this.firstName.trim(), lastName: this.lastName.trim(), phone: phone === '' ? null : phone, timezone: this.timezone.trim() }
      try {
        const changed = await app.api.whole('patch', '/api/v1/users/me', { body, ...(this.etag === null ? {} : { ifMatch: this.etag }) })
        this.etag = changed.etag
        await app.auth.know(changed.body.data.user)
      } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 412) throw error
        await this.read()
        this.fault = { field: '', text: t('profile.changed') }
        return
      }
      this.fill(true)
      toasts.show(t('settings.saved'))
    })
  }

  async verify(): Promise<void> {
    await this.busy(async () => {
      await app.api.post('/api/v1/users/me/email/verification')
      toasts.show(t('profile.verifySent', { email: app.user?.email ?? '' }))
    })
  }

  private async read(): Promise<void> {
    const { body, etag } = await app.api.whole('get', '/api/v1/users/me')
    this.etag = etag
    await app.auth.know(body.data.user)
    this.fill()
  }

  /** What somebody has typed stays, unless it is what was saved: neither a slow answer nor somebody else's change takes it away. */
  private fill(isSaved = false): void {
    const { user } = app
    if (user === null) return
    const is: Values = { firstName: user.firstName, lastName: user.lastName, phone: user.phone ?? '', timezone: user.timezone ?? 'UTC' }
    for (const name of Object.keys(is) as (keyof Values)[]) if (isSaved || this[name] === this.base[name]) this[name] = is[name]
    this.base = is
  }
}

export class Password extends Form {
  current = $state('')
  wanted = $state('')
  again = $state('')

  async change(): Promise<boolean> {
    let isDone = false
    await this.busy(async () => {
      if (this.wanted !== this.again) {
        this.fault = { field: 'again', text: t('password.differ') }
        return
      }
      await app.changePassword(this.current, this.wanted)
      this.current = this.wanted = this.again = ''
      toasts.show(t('password.done'))
      isDone = true
    })
    return isDone
  }
}

export class SecondFactor extends Form {
  view = $state.raw<Schemas['SecondFactorView'] | null>(null)
  error = $state.raw<unknown>(null)
  setUp = $state.raw<Schemas['TotpSecret'] | null>(null)
  /** The sign-in is not fresh: the password as well. */
  needsPassword = $state(false)
  password = $state('')
  code = $state('')

  async load(): Promise<void> {
    try {
      this.view = (await app.api.get('/api/v1/users/me/totp')).secondFactor
      this.error = null
    } catch (error) {
      this.error = error
    }
  }

  async begin(): Promise<void> {
    await this.busy(async () => {
      try {
        this.setUp = await app.api.post('/api/v1/users/me/totp', { body: this.password === '' ? {} : { currentPassword: this.password } })
        this.password = ''
        this.needsPassword = false
      } catch (error) {
        const isStale = error instanceof ApiError && error.status === 403
        if (!isStale || this.needsPassword) throw error
        this.needsPassword = true
      }
    })
  }

  async confirm(): Promise<void> {
    await this.busy(async () => {
      const { recoveryCodes } = await app.api.post('/api/v1/users/me/totp/confirm', { body: { code: this.code.replace(/\s/g, '') } })
      app.recoveryCodes = recoveryCodes
      this.setUp = null
      this.code = ''
      toasts.show(t('factor.isOn'))
      await this.load()
    })
  }

  async remove(): Promise<void> {
    await this.busy(async () => {
      await app.api.delete('/api/v1/users/me/totp', { body: { code: this.code.replace(/\s/g, '') } })
      this.code = ''
      toasts.show(t('factor.isOff'))
      await this.load()
    })
  }
}

/** Where somebody is signed in. */

import type { Schemas } from '../../core/api'
import { app } from '../../core/app.svelte'
import { t } from '../../core/i18n'
import { errorText } from '../../core/words'
import { toasts } from '../../ui/toasts.svelte'

export type Session = Schemas['SessionView']

export class Sessions {
  all = $state.raw<readonly Session[] | null>(null)
  error = $state.raw<unknown>(null)
  busy = $state<string | null>(null)

  async load(): Promise<void> {
    try {
      const { sessions } = await app.api.get('/api/v1/auth/sessions', { query: { limit: 100 } })
      this.all = [...sessions].sort((one, other) => Number(other.isCurrent) - Number(one.isCurrent))
      this.error = null
    } catch (error) {
      this.error = error
    }
  }

  async end(id: string): Promise<void> {
    await this.doing(id, async () => {
      await app.api.delete('/api/v1/auth/sessions/{id}', { path: { id } })
      toasts.show(t('sessions.ended'))
    })
  }

  async endOthers(): Promise<void> {
    await this.doing('others', async () => {
      await app.api.delete('/api/v1/auth/sessions')
      toasts.show(t('sessions.endedOthers'))
    })
  }

  private async doing(what: string, work: () => Promise<void>): Promise<void> {
    if (this.busy !== null) return
    this.busy = what
    try {
      await work()
    } catch (error) {
      toasts.show(errorText(error), { kind: 'error' })
    } finally {
      this.busy = null
    }
    await this.load()
  }
}

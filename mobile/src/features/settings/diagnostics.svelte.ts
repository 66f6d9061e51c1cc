/** What somebody is asked for when something is wrong: versions, the line to the gateway, what waits and what is kept. */

import { app } from '../../core/app.svelte'
import { t } from '../../core/i18n'
import { toasts } from '../../ui/toasts.svelte'

export class Diagnostics {
  /** Bytes of incidents, alerts and timelines. */
  kept = $state<number | null>(null)
  serverVersion = $state<string | null>(null)
  receipts = $state(0)

  async load(): Promise<void> {
    this.kept = await app.db.bytes()
    this.receipts = await app.receipts.waiting()
    try {
      const { body } = await app.api.raw('get', '/api/health', { token: 'none', timeout: 5_000 })
      const { version } = body as { version?: unknown }
      this.serverVersion = typeof version === 'string' ? version.slice(0, 50) : null
    } catch {
      this.serverVersion = null
    }
  }

  async clear(): Promise<void> {
    await app.db.clearCaches()
    app.list()
    toasts.show(t('diagnostics.cleared'))
    await this.load()
  }

  async retry(): Promise<void> {
    await app.outbox.flush(true)
    await app.receipts.flush()
    await this.load()
  }
}

/** 12.3 MB; 4 kB. */
export function sizeText(bytes: number): string {
  const [value, unit] = bytes < 1_000_000 ? [Math.ceil(bytes / 1_000), 'kilobyte'] : [bytes / 1_000_000, 'megabyte']
  return new Intl.NumberFormat('en', { style: 'unit', unit, maximumFractionDigits: 1 }).format(value)
}

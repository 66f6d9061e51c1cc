/** This device's health, as it stands whenever somebody looks. */

import { app } from '../../core/app.svelte'
import { hasCredential } from '../../core/devicekey'
import { t } from '../../core/i18n'
import { errorText } from '../../core/words'
import { alerts } from '../../native/alerts'
import { isPhone } from '../../native/platform'
import { webPush } from '../../native/push'
import { toasts } from '../../ui/toasts.svelte'
import { ownDevices } from './devices.svelte'
import { checks, worst, type Check, type Grade, type Known, type Mend } from './health'

export class DeviceHealth {
  private known = $state.raw<Omit<Known, 'isOnline' | 'isLive' | 'offset' | 'now' | 'refusal'> | null>(null)
  /** `app.now` moves on each second, and the clock's offset with what was last heard. */
  readonly checks: readonly Check[] = $derived.by(() => {
    if (this.known === null) return []
    const refusal = app.pushError === null ? null : errorText(app.pushError)
    return checks({ ...this.known, refusal, isOnline: app.isOnline, isLive: app.isLive, now: app.now, offset: app.clock.offset })
  })
  readonly grade: Grade | null = $derived(this.known === null ? null : worst(this.checks))

  async look(): Promise<void> {
    const lastReceiptAt = ownDevices()
      .then((all) => all.find(({ deviceId }) => deviceId === app.auth.device)?.lastReceiptAt ?? null)
      .catch(() => undefined)
    try {
      const [health, web, isTold] = await Promise.all([alerts.checkHealth(), isPhone ? null : webPush(), app.registration.isTold()])
      const canAnswer = isPhone ? health.canAcknowledge : await hasCredential(app.db)
      this.known = { health, web, canAnswer, isTold, lastReceiptAt: undefined }
      this.known = { ...this.known, lastReceiptAt: await lastReceiptAt }
    } catch (error) {
      app.reports.error(error, 'health')
    }
  }

  /** Settings of the phone that concern one check. */
  async open(mend: Mend): Promise<void> {
    if (mend === null || typeof mend === 'string') return
    try {
      await alerts.openSettings({ which: mend.page })
    } catch {
      toasts.show(t('health.noSettings'))
    }
  }
}

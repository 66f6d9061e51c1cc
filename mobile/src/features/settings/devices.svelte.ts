/** What is paged when somebody is on call, and a test of it. */

import type { Schemas } from '../../core/api'
import { app } from '../../core/app.svelte'
import { ApiError } from '../../core/errors'
import { t } from '../../core/i18n'
import { tooMany } from '../../core/registration'
import { errorText } from '../../core/words'
import { alerts } from '../../native/alerts'
import { isPhone } from '../../native/platform'
import { askForPush, subscribe, webPush } from '../../native/push'
import { toasts } from '../../ui/toasts.svelte'

export type Device = Schemas['DeviceView']
export type Held = Schemas['HeldDevice']

export async function ownDevices(): Promise<Device[]> {
  return (await app.api.get('/api/v1/devices', { query: { limit: 100 } })).devices
}

export class Devices {
  all = $state.raw<readonly Device[] | null>(null)
  error = $state.raw<unknown>(null)
  isBusy = $state(false)
  /** Of which one has to go for this device. */
  held = $state.raw<readonly Held[]>([])
  /** Why this one is not paged. */
  fault = $state<string | null>(null)
  readonly current = $derived(this.all?.find(({ deviceId }) => deviceId === app.auth.device) ?? null)

  async load(): Promise<void> {
    try {
      // This one first: it is what somebody looks for.
      this.all = (await ownDevices()).sort((one, other) => Number(other.deviceId === app.auth.device) - Number(one.deviceId === app.auth.device))
      this.error = null
    } catch (error) {
      this.error = error
    }
  }

  /** After a touch, with the reason on the screen: what browsers and phones want before they ask somebody. */
  async add(replace?: string): Promise<void> {
    await this.busy(async () => {
      if (!(await askForPush())) {
        this.fault = t('devices.refused', { what: t(isPhone ? 'devices.phone' : 'devices.browser') })
        return
      }
      if (isPhone) {
        await alerts.register() // the token comes by itself
        if (replace === undefined) await app.registration.renew()
      }
      const token = isPhone ? null : await this.subscribed()
      if (token !== null) await app.registration.tell(token, { anew: true, ...(replace === undefined ? {} : { replace }) })
      else if (isPhone && replace !== undefined) await app.registration.replace(replace)
      if (this.fault !== null) return
      this.held = []
      app.pushError = null
      toasts.show(t('devices.added'))
      await this.load()
    })
  }

  async remove(device: Device): Promise<void> {
    await this.busy(async () => {
      await app.api.delete('/api/v1/devices/{deviceId}', { path: { deviceId: device.deviceId } })
      if (device.deviceId === app.auth.device) await app.stopBeingPaged()
      toasts.show(t('devices.removed', { name: device.deviceName }))
      await this.load()
    })
  }

  async rename(name: string): Promise<boolean> {
    await this.busy(async () => {
      await app.rename(name.trim())
      await this.load()
    })
    return this.fault === null
  }

  private async subscribed(): Promise<string | null> {
    if ((await webPush()) === 'unsupported') {
      this.fault = t('devices.unsupported')
      return null
    }
    try {
      return await subscribe(await webPushKey())
    } catch (error) {
      if (error instanceof ApiError && error.status !== 404) throw error
      this.fault = t(error instanceof ApiError ? 'devices.notSetUp' : 'devices.noService')
      return null
    }
  }

  private async busy(work: () => Promise<void>): Promise<void> {
    if (this.isBusy) return
    this.isBusy = true
    this.fault = null
    try {
      await work()
    } catch (error) {
      const held = tooMany(error)
      if (held !== null) {
        this.held = held
        this.fault = t('devices.tooMany')
      } else this.fault = errorText(error)
    } finally {
      this.isBusy = false
    }
  }
}

/** With what this gateway's pushes are signed. Raises ApiError: 404 where paging of browsers is not set up. */
export async function webPushKey(): Promise<string> {
  return (await app.api.get('/api/v1/devices/web-push-key')).webPushKey.publicKey
}

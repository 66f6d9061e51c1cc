/** That the gateway pages this device: its token is told once, told again when it changes, and after a day in any case. */

import type { Api } from './api'
import type { Clock } from './clock'
import type { Database } from './db'
import { ApiError } from './errors'

export interface ThisDevice {
  deviceId: string
  deviceName: string
  platform: 'ios' | 'android' | 'web'
}

export interface Surroundings {
  api: Pick<Api, 'post'>
  db: Database
  clock: Clock
  device: () => ThisDevice
  userId: () => string | null
  /** The gateway knows this token now. */
  told?: (token: string) => Promise<void>
  locks?: LockManager | undefined
}

interface Told {
  token: string
  userId: string
  at: number
}

/** The token that the phone or the browser has; it may not be told yet. */
const TOKEN = 'pushToken'
const TOLD = 'pushTold'
const LOCK = 'pager-registration'
/** The gateway lets a device register ten times an hour: a start is no reason. */
const AGAIN_AFTER = 24 * 3_600_000

export class Registration {
  constructor(private readonly at: Surroundings) {}

  /** This is the token now. Raises ApiError; what was not heard is told by `renew`. */
  async tell(token: string, { replace, anew = false }: { replace?: string; anew?: boolean } = {}): Promise<void> {
    await this.at.db.set(TOKEN, token)
    await this.alone(() => this.register(replace, anew))
  }

  /** Tell what was not told yet: at each start, and whenever there is a network again. Raises ApiError. */
  async renew(): Promise<void> {
    await this.alone(() => this.register(undefined, false))
  }

  /** In the place of another device. Raises ApiError. */
  async replace(deviceId: string): Promise<void> {
    await this.alone(() => this.register(deviceId, true))
  }

  /** The name is another one: told at once. Raises ApiError. */
  async rename(): Promise<void> {
    await this.alone(() => this.register(undefined, true))
  }

  /** Whether the gateway has heard of the token that this device has. */
  async isTold(): Promise<boolean> {
    const [token, told] = [await this.at.db.setting<string>(TOKEN), await this.at.db.setting<Told>(TOLD)]
    return token !== null && told?.token === token && told.userId === this.at.userId()
  }

  /** This device is not paged any more. */
  async forget(): Promise<void> {
    await this.at.db.set(TOKEN, null)
    await this.at.db.set(TOLD, null)
  }

  private async register(replace: string | undefined, anew: boolean): Promise<void> {
    const { db, api, clock } = this.at
    const userId = this.at.userId()
    const token = await db.setting<string>(TOKEN)
    if (token === null || userId === null) return
    const told = await db.setting<Told>(TOLD)
    const age = told === null ? Number.NaN : clock.raw() - told.at
    const isKnown = told?.token === token && told.userId === userId && age >= 0 && age < AGAIN_AFTER
    if (!isKnown || anew || replace !== undefined) {
      const body = { ...this.at.device(), pushToken: token, ...(replace === undefined ? {} : { replace }) }
      await api.post('/api/v1/devices', { body })
      await db.set(TOLD, { token, userId, at: clock.raw() })
    }
    await this.at.told?.(token)
  }

  /** Pages of a browser and its service worker are one device: one of them registers. */
  private async alone(work: () => Promise<void>): Promise<void> {
    const { locks } = this.at
    if (locks === undefined) return work()
    await locks.request(LOCK, work)
  }
}

/** Which of the devices is to go, where there are too many; null: it is something else. */
export function tooMany(error: unknown) {
  return error instanceof ApiError && error.code === 'CONFLICT' && error.details.devices ? error.details.devices : null
}

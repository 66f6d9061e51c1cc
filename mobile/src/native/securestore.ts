/** Keychain and Android's Keystore. A browser has nothing like it, and keeps nothing: its token is in a cookie. */

import type { SecureStore } from '../core/auth'
import { isPhone } from './platform'

const real = () => import('@aparajita/capacitor-secure-storage')

export const secureStore: SecureStore = {
  async get(name) {
    if (!isPhone) return null
    const kept = await (await real()).SecureStorage.get(name, false, false)
    return typeof kept === 'string' ? kept : null
  },
  async set(name, value) {
    if (!isPhone) return
    const { SecureStorage, KeychainAccess } = await real()
    // Also while the phone is locked, once it was unlocked after its start: a page comes at night. Never in a backup.
    await SecureStorage.set(name, value, false, false, KeychainAccess.afterFirstUnlockThisDeviceOnly)
  },
  async remove(name) {
    if (isPhone) await (await real()).SecureStorage.remove(name, false)
  },
}

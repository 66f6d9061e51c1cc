/** Whether it is still the owner who holds the phone. A browser has no such lock: its session ends by itself. */

import { isPhone } from './platform'

export async function canLock(): Promise<boolean> {
  if (!isPhone) return false
  const { BiometricAuth } = await import('@aparajita/capacitor-biometric-auth')
  const { isAvailable, deviceIsSecure } = await BiometricAuth.checkBiometry()
  return isAvailable || deviceIsSecure
}

/** True where it is them. The phone's own code does as well: wet hands at night have no finger. */
export async function unlock(reason: string): Promise<boolean> {
  if (!isPhone) return true
  const { BiometricAuth } = await import('@aparajita/capacitor-biometric-auth')
  try {
    await BiometricAuth.authenticate({ reason, allowDeviceCredential: true })
    return true
  } catch {
    return false
  }
}

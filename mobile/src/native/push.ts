/** Push registration: a phone's token, or a browser's subscription. */

import { isPhone } from './platform'
import { alerts } from './alerts'

/** Tell of the phone's token, now and whenever it changes. Raises where the phone refuses. */
export async function listenForToken(told: (token: string) => void): Promise<void> {
  if (!isPhone) return
  await alerts.addListener('token', ({ token }) => told(token))
  const { PushNotifications } = await import('@capacitor/push-notifications')
  await PushNotifications.addListener('registration', ({ value }) => told(value))
  const { receive } = await PushNotifications.checkPermissions()
  if (receive === 'granted') await PushNotifications.register()
}

/** Ask for permission and register; false where it was refused. The token comes through `listenForToken`. */
export async function askForPush(): Promise<boolean> {
  const health = await alerts.requestPermissions()
  if (health.notifications !== 'granted') return false
  if (isPhone) await (await import('@capacitor/push-notifications')).PushNotifications.register()
  return true
}

/** A browser's subscription as the gateway wants it for `pushToken`; null where there is none and none can be made. */
export async function subscribe(applicationServerKey: string): Promise<string | null> {
  const worker = await (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker?.getRegistration('/app/')
  if (worker === undefined || !('pushManager' in worker)) return null
  try {
    const kept = await worker.pushManager.getSubscription()
    const made = kept ?? (await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey }))
    return JSON.stringify(made)
  } catch {
    return null
  }
}

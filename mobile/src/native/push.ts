/** Push registration: a phone's token, or a browser's subscription. */

import { base64url } from '../core/proofs'
import { isPhone } from './platform'
import { alerts } from './alerts'

/**
 * Tell of the phone's token, now and whenever it changes, also where it has changed while the app was killed: it comes
 * again with each start until `alerts.confirmToken` says that the gateway knows it.
 */
export async function listenForToken(told: (token: string) => void): Promise<void> {
  if (!isPhone) return
  await alerts.addListener('token', ({ token }) => told(token))
}

/** Ask for permission and register; false where it was refused. The token comes through `listenForToken`. */
export async function askForPush(): Promise<boolean> {
  const health = await alerts.requestPermissions()
  return health.notifications === 'granted'
}

/** What a browser answers about its subscription, without asking anybody. */
export type WebPush = 'unsupported' | 'denied' | 'off' | 'on'

export async function webPush(): Promise<WebPush> {
  const worker = await registration()
  if (typeof Notification === 'undefined' || worker === null) return 'unsupported'
  if (Notification.permission === 'denied') return 'denied'
  const kept = await worker.pushManager.getSubscription()
  return kept !== null && Notification.permission === 'granted' ? 'on' : 'off'
}

/** The subscription that there is, as the gateway wants it for `pushToken`. */
export async function subscription(): Promise<string | null> {
  const kept = await (await registration())?.pushManager.getSubscription()
  return kept == null ? null : JSON.stringify(kept)
}

/**
 * A browser's subscription as the gateway wants it for `pushToken`. One that was made with another key is worth nothing:
 * the browser's push service refuses what ours signs.
 *
 * @throws what the browser says: `NotAllowedError` without permission, `AbortError` where its push service is away.
 */
export async function subscribe(applicationServerKey: string): Promise<string | null> {
  const worker = await registration()
  if (worker === null) return null
  const kept = await worker.pushManager.getSubscription()
  if (kept !== null && isMadeWith(kept, applicationServerKey)) return JSON.stringify(kept)
  await kept?.unsubscribe()
  return JSON.stringify(await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey }))
}

/** Nothing comes to this browser any more. Also without a network, where its push service hears of it later. */
export async function unsubscribe(): Promise<void> {
  const kept = await (await registration())?.pushManager.getSubscription()
  await kept?.unsubscribe()
}

async function registration(): Promise<ServiceWorkerRegistration | null> {
  if (isPhone) return null
  const workers = (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker
  const worker = await workers?.getRegistration(import.meta.env.BASE_URL)
  return worker !== undefined && 'pushManager' in worker ? worker : null
}

export function isMadeWith(subscription: PushSubscription, key: string): boolean {
  const kept = (subscription as { options?: PushSubscriptionOptions }).options?.applicationServerKey
  if (kept == null) return true // a browser that does not tell
  return base64url(new Uint8Array(kept)) === key.replace(/=+$/, '')
}

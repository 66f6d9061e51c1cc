/// <reference lib="webworker" />
/** Pushes to a browser, and what is done with them without the app: `pushes.ts` decides, this is where it is called. */

import { Pushes } from './pushes'
import { WorkerSessions } from './session'

type SyncRegistration = ServiceWorkerRegistration & { sync?: { register(tag: string): Promise<void> } }
type Resubscribed = ExtendableEvent & { newSubscription?: PushSubscription; oldSubscription?: PushSubscription }
export const SYNC = 'outbox'

export function listenForPush(worker: ServiceWorkerGlobalScope): void {
  const sessions = new WorkerSessions({ locks: (worker.navigator as { locks?: LockManager }).locks })
  const pushes = new Pushes({
    registration: worker.registration,
    clients: worker.clients,
    session: () => sessions.get(),
    sync: async () => {
      await (worker.registration as SyncRegistration).sync?.register(SYNC).catch(() => undefined)
    },
    base: new URL(worker.registration.scope).pathname,
    origin: worker.location.origin,
  })
  worker.addEventListener('push', (event) => event.waitUntil(pushes.received(textOf(event.data))))
  // It is begun before the browser is asked to wait for it: where that is refused it is done all the same.
  worker.addEventListener('notificationclick', (event) => {
    const done = pushes.clicked(event.notification, event.action)
    event.waitUntil(done)
  })
  worker.addEventListener('pushsubscriptionchange', (given) => {
    const event = given as Resubscribed
    event.waitUntil(pushes.resubscribed(event.newSubscription ?? null, event.oldSubscription?.options ?? null))
  })
  worker.addEventListener('sync' as 'push', (given) => {
    const event = given as unknown as ExtendableEvent & { tag: string }
    if (event.tag === SYNC) event.waitUntil(pushes.synced())
  })
}

function textOf(data: PushMessageData | null): string {
  try {
    return data?.text() ?? ''
  } catch {
    return ''
  }
}

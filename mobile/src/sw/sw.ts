/// <reference lib="webworker" />
/** The shell is there without a network. The API is never answered from here: what is old is in the database, dated. */

import { cleanupOutdatedCaches, createHandlerBoundToURL, precacheAndRoute } from 'workbox-precaching'
import { NavigationRoute, registerRoute } from 'workbox-routing'
import { listenForPush } from './push'

declare const self: ServiceWorkerGlobalScope & { __WB_MANIFEST: (string | { url: string; revision: string | null })[] }

precacheAndRoute(self.__WB_MANIFEST)
cleanupOutdatedCaches()
// Pages of the gateway's own, for whoever has no session.
registerRoute(new NavigationRoute(createHandlerBoundToURL('index.html'), { denylist: [/^\/app\/(reset|verify)$/] }))

// A new version is there with the next start of the app: nothing is taken from under an open screen.
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))

self.addEventListener('sync', (event) => {
  const { tag, waitUntil } = event as ExtendableEvent & { tag: string }
  if (tag === 'outbox') waitUntil.call(event, wake())
})

/** Pages send what waits: an access token is in their memory alone. */
async function wake(): Promise<void> {
  for (const client of await self.clients.matchAll({ type: 'window' })) client.postMessage({ type: 'sync' })
}

listenForPush(self)

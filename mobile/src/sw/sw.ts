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

interface Routing {
  /** Chromium's alone so far (developer.mozilla.org, InstallEvent.addRoutes); elsewhere this worker is asked each time. */
  addRoutes?: (rules: readonly { condition: object; source: string }[]) => Promise<void>
}
// A worker that has to be started first takes longer than most lines: the gateway is asked beside it, and whoever answers
// first is believed. What never changes under its name comes out of the cache without it.
self.addEventListener('install', (event) => {
  const page = { condition: { requestMode: 'navigate' }, source: 'race-network-and-fetch-handler' }
  const file = { condition: { urlPattern: new URLPattern({ pathname: '/app/assets/*' }) }, source: 'cache' }
  void (event as Routing).addRoutes?.([page, file])
})

// A new version is there with the next start of the app: nothing is taken from under an open screen.
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()))

listenForPush(self)

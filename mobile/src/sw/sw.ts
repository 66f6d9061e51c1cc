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

listenForPush(self)

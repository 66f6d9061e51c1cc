/** Pushes through DevTools, and what the service worker shows of them. */

import type { Worker } from 'playwright-core'
import { until } from './api'
import type { Phone } from './phone'

export interface Shown {
  title: string
  body: string
  actions: string[]
}

const registrations = new WeakMap<Phone, string>()

/** The browser has received it from its push service. */
export async function deliver(one: Phone, push: object | string): Promise<void> {
  await one.context.grantPermissions(['notifications'], { origin: one.base })
  const devtools = await one.context.newCDPSession(one.page)
  const known = new Promise<string>((done) => {
    devtools.on('ServiceWorker.workerRegistrationUpdated', ({ registrations: all }) => {
      const ours = all.find(({ scopeURL, isDeleted }) => scopeURL === `${one.base}/app/` && !isDeleted)
      if (ours !== undefined) done(ours.registrationId)
    })
  })
  await devtools.send('ServiceWorker.enable')
  const registrationId = registrations.get(one) ?? (await known)
  registrations.set(one, registrationId)
  await devtools.send('ServiceWorker.deliverPushMessage', { origin: one.base, registrationId, data: typeof push === 'string' ? push : JSON.stringify(push) })
  await devtools.detach()
}

async function worker(one: Phone): Promise<Worker> {
  return one.context.serviceWorkers().find((each) => each.url().startsWith(one.base)) ?? one.context.waitForEvent('serviceworker')
}

/** As soon as there are so many. */
export async function notifications(one: Phone, count: number): Promise<Shown[]> {
  const at = await worker(one)
  const look = () =>
    at.evaluate(async () => {
      const all = await (globalThis as unknown as ServiceWorkerGlobalScope).registration.getNotifications()
      return all.map((each) => ({ title: each.title, body: each.body, actions: ((each as unknown as { actions?: { action: string }[] }).actions ?? []).map(({ action }) => action) }))
    })
  return until(look, (all) => all.length === count, `${count} notifications`)
}

/** A finger on it, or on a button of it; `times`: of two copies of it, one after the other. */
export async function touch(one: Phone, title: string, action = '', times = 1): Promise<void> {
  const at = await worker(one)
  await at.evaluate(
    async (given) => {
      const scope = globalThis as unknown as ServiceWorkerGlobalScope
      const notification = (await scope.registration.getNotifications()).find((each) => each.title === given.title)
      if (notification === undefined) throw new Error('it is not shown')
      for (let count = 0; count < given.times; count += 1) scope.dispatchEvent(new NotificationEvent('notificationclick', { notification, action: given.action }))
    },
    { title, action, times },
  )
}

/**
 * Pushes to a browser, in real Chromium against a real gateway: what is shown, and what becomes of an answer to it.
 *
 * Subscribing needs a push service that a headless browser does not have, so that pushes are delivered through the DevTools
 * protocol; and nobody can touch a notification there, so that its event is made in the service worker.
 *
 *     PAGER_URL=http://127.0.0.1:3000 PAGER_EMAIL=… PAGER_PASSWORD=… PAGER_SIMULATOR=http://127.0.0.1:3001 node tests/e2e/push.mjs
 */

import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { chromium } from 'playwright-core'

const PATIENCE = 15_000

async function until(what, isSo) {
  const end = Date.now() + PATIENCE
  for (;;) {
    const answer = await isSo()
    if (answer) return answer
    if (Date.now() > end) throw new Error(`it never became so: ${what}`)
    await new Promise((done) => setTimeout(done, 100))
  }
}

/** A program of one's own beside the browser: makes incidents, and looks what the gateway has. */
export async function apiOf(url, email, password) {
  const signedIn = await asked(url, 'POST', '/auth/login', { body: { email, password, deviceId: 'e2e-push', deviceName: 'e2e' } })
  const token = signedIn.tokens.accessToken
  return {
    get: (path) => asked(url, 'GET', path, { token }),
    post: (path, body) => asked(url, 'POST', path, { token, body }),
  }
}

async function asked(url, method, path, { token, body } = {}) {
  const answer = await fetch(`${url}/api/v1${path}`, {
    method,
    headers: {
      ...(token === undefined ? {} : { Authorization: `Bearer ${token}`, 'Idempotency-Key': randomUUID() }),
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const said = await answer.json()
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(said.error)}`)
  return said.data
}

/** A browser that is signed in, its service worker, and a way to push to it. */
export async function paged({ browser, url, email, password, subscription = null }) {
  const context = await browser.newContext({ viewport: { width: 390, height: 844 } })
  // In the place of the push service that a headless browser does not have.
  if (subscription !== null) {
    await context.addInitScript((made) => {
      let kept = null
      PushManager.prototype.getSubscription = async () => kept
      PushManager.prototype.subscribe = async () => (kept = { ...made, toJSON: () => made, unsubscribe: async () => (kept = null) === null })
    }, subscription)
  }
  await context.grantPermissions(['notifications'], { origin: new URL(url).origin })
  const page = await context.newPage()
  await page.goto(`${url}/app/sign-in`)
  await page.getByLabel('E-mail address').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await page.getByRole('navigation').waitFor()
  const [worker] = context.serviceWorkers().length > 0 ? context.serviceWorkers() : [await context.waitForEvent('serviceworker')]
  const devtools = await context.newCDPSession(page)
  const registrations = new Map()
  devtools.on('ServiceWorker.workerRegistrationUpdated', ({ registrations: all }) => {
    for (const one of all) registrations.set(one.scopeURL, one.registrationId)
  })
  await devtools.send('ServiceWorker.enable')
  const registrationId = await until('the worker is registered', () => registrations.get(`${url}/app/`))
  await page.evaluate(() => navigator.serviceWorker.ready.then(() => undefined))
  return {
    context,
    page,
    push: (data) => devtools.send('ServiceWorker.deliverPushMessage', { origin: new URL(url).origin, registrationId, data: typeof data === 'string' ? data : JSON.stringify(data) }),
    shown: () => worker.evaluate(async () => (await self.registration.getNotifications()).map(({ title, body, tag, requireInteraction, actions }) => ({ title, body, tag, requireInteraction, actions: actions.map(({ action }) => action) }))),
    /** The event of a touch. A browser lets nobody wait for one that it has not made itself: it is done all the same. */
    touch: (tag, action) =>
      worker.evaluate(
        async ([tag, action]) => {
          const [notification] = await self.registration.getNotifications({ tag })
          self.dispatchEvent(new NotificationEvent('notificationclick', { notification, action }))
        },
        [tag, action],
      ),
  }
}

/** As services/notifier/push/message.py makes them. */
export function aPush(incidentId, more = {}) {
  return {
    ...{ notificationId: randomUUID(), incidentId, priority: 'critical', kind: 'page', level: '1' },
    ...{ title: '🚨 Database failure', body: 'All replicas are away', url: '', expiresAt: new Date(Date.now() + 600_000).toISOString() },
    ...more,
  }
}

export async function push({ browser, url, email, password }) {
  const api = await apiOf(url, email, password)
  const made = []
  const anIncident = async () => {
    const { incident } = await api.post('/incidents', { title: 'Database failure', description: 'All replicas are away', priority: 'critical' })
    made.push(incident.id)
    return incident
  }
  const acknowledgements = async (id) => (await api.get(`/incidents/${id}`)).incident.acknowledgements
  const seen = await paged({ browser, url, email, password })
  try {
    const incident = await anIncident()
    const tag = `incident:${incident.id}`
    const page = aPush(incident.id)
    await seen.push(page)
    await until('it is shown', async () => (await seen.shown()).length === 1)
    await seen.push(page)
    await seen.push(page)
    assert.deepEqual(await seen.shown(), [
      { title: page.title, body: page.body, tag, requireInteraction: true, actions: ['acknowledge', 'open'] },
    ], 'the same push three times is one notification')

    await seen.touch(tag, 'acknowledge')
    await seen.touch(tag, 'acknowledge').catch(() => undefined) // it has gone
    await until('the acknowledgement has arrived', async () => (await acknowledgements(incident.id)).length > 0)
    await until('it is said', async () => (await seen.shown()).some(({ title }) => title === 'Acknowledged'))
    assert.equal((await acknowledgements(incident.id)).length, 1, 'touched twice, it is acknowledged once')
    await seen.push(page)
    assert.deepEqual((await seen.shown()).map(({ title }) => title), ['Acknowledged'], 'what was answered makes no noise again')

    await seen.push({ ...aPush(incident.id), kind: 'resolved' })
    await until('what is over is taken away', async () => (await seen.shown()).length === 0)

    const over = await anIncident()
    await api.post(`/incidents/${over.id}/resolve`, {})
    await seen.push(aPush(over.id))
    await until('it is shown', async () => (await seen.shown()).length === 1)
    await seen.touch(`incident:${over.id}`, 'acknowledge')
    await until('the refusal is said', async () => (await seen.shown()).some(({ title, body }) => title === 'Not acknowledged' && body.includes('already resolved')))
    await seen.push({ ...aPush(over.id), kind: 'withdrawn' })

    const later = await anIncident()
    await seen.push(aPush(later.id))
    await until('it is shown', async () => (await seen.shown()).some(({ tag }) => tag === `incident:${later.id}`))
    await seen.context.setOffline(true)
    await seen.touch(`incident:${later.id}`, 'acknowledge')
    await until('that it waits is said', async () => (await seen.shown()).some(({ title }) => title === 'Not acknowledged yet'))
    assert.deepEqual(await acknowledgements(later.id), [])
    await seen.context.setOffline(false)
    await seen.page.evaluate(() => window.dispatchEvent(new Event('focus')))
    await until('it has arrived', async () => (await acknowledgements(later.id)).length === 1)

    for (const hostile of ['', 'no JSON', '[]', JSON.stringify({ notificationId: 7, incidentId: 'x', url: 'https://evil.example' }), 'x'.repeat(4000)]) await seen.push(hostile)
    await until('what cannot be read is shown as that', async () => (await seen.shown()).some(({ tag }) => tag === 'unreadable'))
    assert.ok(seen.page.url().startsWith(`${url}/app/`))
    assert.equal(seen.context.pages().length, 1)

    const last = await anIncident()
    await seen.push(aPush(last.id, { url: 'https://evil.example/app/incidents/1', title: '<img src=x onerror=alert(1)>' }))
    await until('it is shown', async () => (await seen.shown()).some(({ title }) => title.startsWith('<img')))
    await seen.touch(`incident:${last.id}`, 'open')
    // The stream may have led there first, by its own address.
    await seen.page.waitForURL((now) => now.origin === new URL(url).origin && now.pathname.includes(last.id) && now.pathname.includes('alert'), { timeout: PATIENCE })
  } finally {
    await seen.context.close()
    // What still burns would cover the screens of whoever tests next.
    for (const id of made) await api.post(`/incidents/${id}/resolve`, {}).catch(() => undefined)
  }
}

/** A browser is registered, pages itself a test, and the screen shows what became of it. `simulator`: its address. */
export async function testPage({ browser, url, email, password, simulator, look = async () => undefined }) {
  const made = await fetch(`${simulator}/webpush/subscriptions`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: '{}' })
  const seen = await paged({ browser, url, email, password, subscription: await made.json() })
  try {
    const { page } = seen
    await page.goto(`${url}/app/settings/devices`)
    await page.getByRole('button', { name: 'Page me here' }).click()
    await page.getByRole('dialog').getByText('Notifications wake you').waitFor()
    await look('ask', page)
    await page.getByRole('dialog').getByRole('button', { name: 'Page me here' }).click()
    await page.getByText('this one').waitFor()
    await look('devices', page)
    const here = page.getByRole('listitem').filter({ hasText: 'this one' })
    const tests = async () => (await (await fetch(`${simulator}/pushes?limit=1000`)).json()).map((one) => one.payload).filter((one) => one?.test === 'true')
    const before = (await tests()).length
    await here.getByRole('button', { name: /^Page me a test/ }).click()
    const payload = await until('the test is sent', async () => (await tests())[before])
    await seen.push(payload)
    await page.getByText('It works: this device can be paged.').waitFor({ timeout: PATIENCE })
    await look('test', page)
    await seen.touch(`test:${payload.notificationId}`, '')
    await look('touched', page)
    await page.getByText('You have opened it').waitFor()
    await page.goto(`${url}/app/settings/devices`)
    await here.getByText('Last heard of').waitFor()
    await here.getByRole('button', { name: /^Remove/ }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click()
    await page.getByRole('button', { name: 'Page me here' }).waitFor()
  } finally {
    await seen.context.close()
  }
}

if (import.meta.filename === process.argv[1]) {
  const { PAGER_URL: url = 'http://127.0.0.1:3000', PAGER_EMAIL: email = '', PAGER_PASSWORD: password = '', PAGER_SIMULATOR: simulator } = process.env
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  })
  try {
    await push({ browser, url, email, password })
    if (simulator !== undefined) await testPage({ browser, url, email, password, simulator })
    console.log('push: ok')
  } finally {
    await browser.close()
  }
}

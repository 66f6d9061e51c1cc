/** The fifth journey: pushes to a browser, which are delivered through DevTools (a browser without a screen cannot subscribe). */

import { randomUUID } from 'node:crypto'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { critical } from '../../src/messages/en/critical'
import { acknowledgements, becomes, call, incident, openIncident, pager, person, tokenOf } from './api'
import { isKept, launch, leave, Line, onPhone, redScreen, seen, signIn } from './phone'
import { deliver, notifications, touch } from './pushes'
import { push } from './push.mjs'

let browser: Browser
beforeAll(async () => {
  browser = await launch()
})
afterAll(() => browser?.close())

const pushOf = (one: { id: string; title: string }, more: Record<string, unknown> = {}) => ({
  ...{ notificationId: randomUUID(), incidentId: one.id, kind: 'page', priority: 'critical', level: '1' },
  ...{ title: one.title, body: 'Level 1', ...more },
})

describe('5. Push notification delivery and interaction', () => {
  test('A push is shown, its tap opens the red screen, and one tap more acknowledges', async () => {
    const anna = await person('Anna', 'Pushed')
    const { id, title } = await openIncident(`Pushed ${process.pid}`, { assignedTo: anna.id })
    await onPhone(browser, async (one) => {
      await signIn(one, anna, '/settings')
      await isKept(one.page)
      if ((await redScreen(one.page).count()) > 0) await leave(one.page)
      await deliver(one, pushOf({ id, title }))
      const [shown] = await notifications(one, 1)
      expect(shown?.title).toBe(title)
      expect(shown?.actions).toEqual(['acknowledge', 'open'])
      await touch(one, title)
      await seen(redScreen(one.page))
      await one.page.getByRole('button', { name: critical['critical.ack'] }).tap()
      expect((await becomes(id, 'acknowledged')).acknowledgedBy).toBe(anna.id)
      expect(await acknowledgements(id)).toBe(1)
    })
  })

  test('The button of a notification acknowledges without the app, also when it is touched twice', async () => {
    const anna = await person('Anna', 'Button')
    const { id, title } = await openIncident(`By its button ${process.pid}`, { assignedTo: anna.id })
    await onPhone(browser, async (one) => {
      await signIn(one, anna)
      await isKept(one.page)
      await deliver(one, pushOf({ id, title }))
      await notifications(one, 1)
      // No window of the app is open any more.
      await one.page.goto('about:blank')
      await touch(one, title, 'acknowledge', 2)
      expect((await becomes(id, 'acknowledged')).acknowledgedBy).toBe(anna.id)
      expect(await acknowledgements(id)).toBe(1)
    })
  })

  test('The same push twice is one notification, and one red screen', async () => {
    const anna = await person('Anna', 'Twice')
    const { id, title } = await openIncident(`Twice ${process.pid}`, { assignedTo: anna.id })
    await onPhone(browser, async (one) => {
      await signIn(one, anna, `/incidents/${id}`)
      await isKept(one.page)
      const push = pushOf({ id, title })
      await deliver(one, push)
      await deliver(one, push)
      expect(await notifications(one, 1)).toHaveLength(1)
      await seen(redScreen(one.page))
      expect(await redScreen(one.page).count()).toBe(1)
      await one.page.getByRole('button', { name: critical['critical.ack'] }).tap()
      await becomes(id, 'acknowledged')
      await one.page.waitForURL(/\/app\/incidents\//)
      expect(await redScreen(one.page).count()).toBe(0)
    })
  })

  test('A push for what is over says so, and one that takes it back takes it away', async () => {
    const [anna, otto] = [await person('Anna', 'Late'), await person('Otto', 'Done', ['lead'])]
    const { id, title } = await openIncident(`Over by now ${process.pid}`, { assignedTo: anna.id })
    await call('POST', `/incidents/${id}/resolve`, {}, await tokenOf(otto))
    await becomes(id, 'resolved')
    await onPhone(browser, async (one) => {
      await signIn(one, anna)
      await isKept(one.page)
      await deliver(one, pushOf({ id, title }))
      await notifications(one, 1)
      await touch(one, title)
      await seen(one.page.getByText(/^Resolved by .+ at \d\d:\d\d\. Nothing is left to do\.$/))
      await deliver(one, pushOf({ id, title }))
      await notifications(one, 1)
      await deliver(one, pushOf({ id, title }, { kind: 'resolved' }))
      expect(await notifications(one, 0)).toEqual([])
    })
  })

  test('Acknowledged from a notification without a network: it is sent once there is one', async () => {
    const anna = await person('Anna', 'Underground')
    const { id, title } = await openIncident(`Underground ${process.pid}`, { assignedTo: anna.id })
    const line = await Line.to()
    try {
      await onPhone(browser, async (one) => {
        await signIn(one, anna)
        await isKept(one.page)
        await deliver(one, pushOf({ id, title }))
        await notifications(one, 1)
        await line.cut()
        await touch(one, title, 'acknowledge')
        expect((await incident(id)).acknowledgedBy ?? null).toBeNull()
        await line.mend()
        expect((await becomes(id, 'acknowledged')).acknowledgedBy).toBe(anna.id)
        expect(await acknowledgements(id)).toBe(1)
      }, { base: line.base })
    } finally {
      await line.cut()
    }
  })

  test('What is shown, answered and refused without the app, and what is no push of ours', async () => {
    const { email, password } = await person('Pia', 'Pushes', ['admin'])
    await push({ browser, url: pager.gateway, email, password })
  })
})

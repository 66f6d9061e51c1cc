/**
 * A push comes, and is answered without the app. What wakes somebody is shown first and never waits for the database or
 * the gateway; nothing in here raises.
 */

import { t } from '../core/i18n'
import type { Entry, Wanted } from '../core/outbox'
import type { ReceiptState } from '../core/receipts'
import { refusalText } from '../core/refusal'
import { alertPath } from '../core/routes'
import { ACKNOWLEDGE, answerNotice, pageNotice, signedOutNotice, tagOf, unreadableNotice, type Notice } from './notices'
import { carried, parse, type Pushed } from './payload'

/** What of the app a service worker has: `session.ts`. */
export interface Session {
  /** Whose pages these are, also after their session ran out; null: somebody has signed out here. */
  person(): Promise<string | null>
  /** Raises StorageFull. */
  add(wanted: Wanted): Promise<Entry>
  entry(id: string): Promise<Entry | null>
  /** Try all that waits, once. */
  flush(): Promise<void>
  /** Whether anything waits only so that it can be undone. */
  isUndoable(): Promise<boolean>
  /** What could still be undone is due. */
  hasten(): Promise<void>
  /** False: whoever it was has to sign in before anything of theirs can be sent. */
  canSend(): Promise<boolean>
  /** The same push came before, and was shown. */
  hasSeen(notificationId: string): Promise<boolean>
  remember(notificationId: string): Promise<void>
  receipt(notificationId: string, ...states: ReceiptState[]): Promise<void>
  /** The browser has given this subscription up, for `token` or for none. */
  resubscribed(token: string | null): Promise<void>
  now(): number
}

export interface Surroundings {
  registration: Pick<ServiceWorkerRegistration, 'showNotification' | 'getNotifications'> & {
    pushManager?: Pick<PushManager, 'subscribe' | 'getSubscription'>
  }
  clients: Pick<Clients, 'matchAll' | 'openWindow'>
  session: () => Promise<Session>
  /** Asks the browser to wake this worker when there is a network. */
  sync: () => Promise<void>
  /** The app's path, such as /app/. */
  base: string
  origin: string
}

/** Milliseconds for which the database may hold a page up. */
const PATIENCE = 1_000
/** Whether somebody has left, while they could undo something. */
const LOOK_EVERY = 500

export class Pushes {
  /** One push after the other: two of one page must not both find nothing shown. */
  private line: Promise<unknown> = Promise.resolve()

  constructor(private readonly at: Surroundings) {}

  /** Shown one after the other; what is told of it holds no page up. */
  async received(text: string): Promise<void> {
    const showing = this.line.then(() => this.show(text))
    this.line = showing.catch(() => undefined)
    try {
      const shown = await showing
      if (shown === null) return
      await this.tell({ type: 'sync' })
      await (await this.at.session()).receipt(shown.notificationId, 'received', ...(shown.kind === 'page' ? (['displayed'] as const) : []))
    } catch {
      // It was shown, if that was possible at all.
    }
  }

  /** A notification, or one of its buttons, was touched. */
  async clicked(notification: Pick<Notification, 'data' | 'close'>, action: string): Promise<void> {
    notification.close()
    const pushed = carried(notification.data)
    try {
      if (pushed !== null && pushed.incidentId !== null && action === ACKNOWLEDGE) await this.acknowledge(pushed, pushed.incidentId)
      else await this.open(pushed)
    } catch {
      // The app, which can say more about it than we can.
      await this.open(pushed).catch(() => undefined)
    }
  }

  /** The browser has changed the subscription by itself. */
  async resubscribed(given: PushSubscription | null, before: PushSubscriptionOptions | null): Promise<void> {
    try {
      const session = await this.at.session()
      const manager = this.at.registration.pushManager
      const kept = given ?? (await manager?.getSubscription()) ?? null
      const key = before?.applicationServerKey
      const made = kept ?? (key == null ? null : await manager?.subscribe({ userVisibleOnly: true, applicationServerKey: key })) ?? null
      await session.resubscribed(made === null ? null : JSON.stringify(made))
    } catch {
      // The app finds out at its next start, and this device's health says so.
    }
  }

  /** Something was done, or there is a network again: a window that is there sends it, and whoever leaves it has undone nothing. */
  async synced(): Promise<void> {
    await this.tell({ type: 'sync' })
    const session = await this.at.session()
    while ((await this.windows()).length > 0) {
      if (!(await session.isUndoable())) return
      await new Promise((done) => setTimeout(done, LOOK_EVERY))
    }
    await session.hasten()
    await session.flush()
  }

  /** The push, where it was shown or has taken something away. */
  private async show(text: string): Promise<Pushed | null> {
    const pushed = parse(text)
    if (pushed === null) {
      await this.put(unreadableNotice(this.at.base))
      return null
    }
    const known = await within(this.known(pushed), PATIENCE)
    if (known?.person === null) {
      await this.put(signedOutNotice(this.at.base))
      await (await this.at.registration.pushManager?.getSubscription())?.unsubscribe()
      return null
    }
    if (pushed.kind !== 'page') for (const notification of await this.shown(pushed)) notification.close()
    else if (known?.isSeen !== true) await this.put(pageNotice(pushed, this.at.base))
    // After it was shown: whoever dies in between shows it again, and never not at all.
    await within(this.remember(pushed.notificationId), PATIENCE)
    return pushed
  }

  private async known(pushed: Pushed): Promise<{ person: string | null; isSeen: boolean }> {
    const session = await this.at.session()
    return { person: await session.person(), isSeen: await session.hasSeen(pushed.notificationId) }
  }

  private async remember(notificationId: string): Promise<void> {
    await (await this.at.session()).remember(notificationId)
  }

  private async acknowledge(pushed: Pushed, incidentId: string): Promise<void> {
    const session = await this.at.session()
    if ((await session.person()) === null) return this.put(signedOutNotice(this.at.base))
    // Touched twice, or by two copies of one notification, it is one acknowledgement.
    const { id } = await session.add({ incidentId, action: 'acknowledge', id: `push-${pushed.notificationId}` })
    await session.flush()
    const entry = await session.entry(id)
    await this.put(this.answer(pushed, entry, await session.canSend(), session.now()))
    if (entry?.state === 'queued') await this.at.sync()
    await this.tell({ type: 'sync' })
    await session.receipt(pushed.notificationId, 'received', 'displayed', 'opened')
  }

  /** `entry` null: it was accepted, and read by the app meanwhile. */
  private answer(pushed: Pushed, entry: Entry | null, canSend: boolean, now: number): Notice {
    const { base } = this.at
    const what = pushed.title
    if (entry?.state === 'queued') {
      return answerNotice(pushed, base, t('push.queued'), t(canSend ? 'push.queuedHelp' : 'push.signInHelp', { what }), true)
    }
    if (entry?.state === 'refused' && entry.refusal !== null) {
      return answerNotice(pushed, base, t('push.refused'), `${refusalText(entry.refusal, now)}\n${what}`, true)
    }
    return answerNotice(pushed, base, t('push.accepted'), what, false)
  }

  /** The app at this incident: the window that there is, or another one. */
  private async open(pushed: Pushed | null): Promise<void> {
    const path = pushed === null ? '/incidents' : pushed.incidentId === null ? '/settings/devices' : alertPath(pushed.incidentId)
    const [window] = await this.windows()
    if (window !== undefined) {
      await window.focus().catch(() => undefined)
      window.postMessage({ type: 'open', path })
    } else await this.at.clients.openWindow(`${this.at.origin}${this.at.base.replace(/\/$/, '')}${path}`)
    if (pushed !== null) await (await this.at.session()).receipt(pushed.notificationId, 'received', 'displayed', 'opened')
  }

  private async windows(): Promise<WindowClient[]> {
    const all = (await this.at.clients.matchAll({ type: 'window', includeUncontrolled: true })) as readonly WindowClient[]
    const ours = all.filter((one) => one.url.startsWith(`${this.at.origin}${this.at.base}`))
    return ours.sort((one, other) => Number(other.focused) - Number(one.focused))
  }

  private async tell(message: { type: string }): Promise<void> {
    for (const window of await this.windows()) window.postMessage(message)
  }

  private async shown(pushed: Pushed): Promise<Notification[]> {
    return [...(await this.at.registration.getNotifications({ tag: tagOf(pushed) }))]
  }

  private async put({ title, options }: Notice): Promise<void> {
    await this.at.registration.showNotification(title, options)
  }
}

/** null: not in time, or not at all. A page is shown then: none must be lost by what is around it. */
async function within<Value>(asked: Promise<Value>, milliseconds: number): Promise<Value | null> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<null>((done) => {
    timer = setTimeout(() => done(null), milliseconds)
  })
  try {
    return await Promise.race([asked.catch(() => null), late])
  } finally {
    clearTimeout(timer)
  }
}

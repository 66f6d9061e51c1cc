/** What somebody sees: from a push, and from what became of their answer to it. */

import { t } from '../core/i18n'
import type { Pushed } from './payload'

/** TypeScript's own do not know all that browsers take. */
export interface NoticeOptions extends NotificationOptions {
  actions?: { action: string; title: string }[]
  vibrate?: number[]
  renotify?: boolean
  timestamp?: number
}
export interface Notice {
  title: string
  options: NoticeOptions & { tag: string }
}

export const ACKNOWLEDGE = 'acknowledge'
export const OPEN = 'open'
const VIBRATION: Record<Pushed['priority'], number[]> = {
  critical: [600, 200, 600, 200, 600, 200, 600],
  high: [400, 200, 400],
  medium: [200],
  low: [],
}

/** One for each incident: what comes again takes the place of what is shown. */
export function tagOf({ incidentId, notificationId }: Pushed): string {
  return incidentId === null ? `test:${notificationId}` : `incident:${incidentId}`
}

/** It makes a noise also where an earlier page of its incident is shown. */
export function pageNotice(pushed: Pushed, base: string): Notice {
  return {
    title: pushed.title === '' ? t('push.untitled') : pushed.title,
    options: {
      ...common(pushed, base),
      body: pushed.body,
      requireInteraction: pushed.priority === 'critical',
      vibrate: VIBRATION[pushed.priority],
      renotify: true,
      actions: pushed.incidentId === null ? [] : [{ action: ACKNOWLEDGE, title: t('push.acknowledge') }, { action: OPEN, title: t('push.open') }],
    },
  }
}

/** What became of an acknowledgement. It is no page: it makes no noise, and stays until it was read where it was refused. */
export function answerNotice(pushed: Pushed, base: string, title: string, body: string, stays: boolean): Notice {
  return {
    title,
    options: { ...common(pushed, base), body, silent: true, requireInteraction: stays, actions: [{ action: OPEN, title: t('push.open') }] },
  }
}

/** A push that nobody can read is still a push: something has happened. */
export function unreadableNotice(base: string): Notice {
  return {
    title: t('push.unreadable'),
    options: { tag: 'unreadable', body: t('push.unreadableHelp'), icon: `${base}icon-192.png`, requireInteraction: true },
  }
}

/** Whoever has signed out is told nothing of incidents. */
export function signedOutNotice(base: string): Notice {
  return { title: t('push.signedOut'), options: { tag: 'signed-out', body: t('push.signedOutHelp'), icon: `${base}icon-192.png`, silent: true } }
}

function common(pushed: Pushed, base: string) {
  return { tag: tagOf(pushed), icon: `${base}icon-192.png`, badge: `${base}icon-192.png`, dir: 'auto' as const, data: { ...pushed, test: pushed.incidentId === null } }
}

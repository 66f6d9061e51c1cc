/** "Would you be woken?": each thing that it takes, in words, with what can be done about it. */

import { t, ageText } from '../../core/i18n'
import type { Answer, Health, SettingsPage } from '../../native/alerts'
import type { WebPush } from '../../native/push'

export type Grade = 'ok' | 'warn' | 'bad'
/** `ask`: for permission, or a subscription; `register`: tell the gateway again. */
export type Mend = { page: SettingsPage } | 'ask' | 'register' | 'test' | null

export interface Check {
  id: string
  grade: Grade
  title: string
  text: string
  mend: Mend
}

export interface Known {
  health: Health
  /** Of a browser alone. */
  web: WebPush | null
  /** A page is answered without the app, whatever becomes of the session. */
  canAnswer: boolean
  /** The gateway has this device's token. */
  isTold: boolean
  /** What it said where it refused. */
  refusal: string | null
  /** What the gateway last heard of a page from this device; null: never; undefined: the gateway was not reached. */
  lastReceiptAt: string | null | undefined
  isOnline: boolean
  isLive: boolean
  /** Milliseconds that the gateway is ahead of this device. */
  offset: number
  now: number
}

/** Days after which a device that was silent is worth a test. */
const SILENT_FOR = 30 * 24 * 3_600_000
/** Milliseconds: beyond it countdowns of other apps are wrong, and codes of an authenticator app are. */
const CLOCK_OFF = 30_000

export function checks(known: Known): Check[] {
  const { health, web } = known
  const found = [
    web === null ? permission(health) : browser(web),
    ...(web === null ? phone(health) : []),
    known.canAnswer ? check('answer', 'ok', null) : check('answer', 'warn', null),
    registered(known),
    receipt(known),
    network(known),
    clock(known),
  ]
  return found.filter((one) => one !== null)
}

export function worst(all: readonly Check[]): Grade {
  return all.some(({ grade }) => grade === 'bad') ? 'bad' : all.some(({ grade }) => grade === 'warn') ? 'warn' : 'ok'
}

function permission({ notifications }: Health): Check {
  switch (notifications) {
    case 'granted':
      return check('permission', 'ok', null)
    case 'prompt':
      return check('permission', 'bad', 'ask', 'prompt')
    case 'provisional':
      return check('permission', 'bad', { page: 'notifications' }, 'provisional')
    case 'denied':
      return check('permission', 'bad', { page: 'notifications' })
  }
}

function browser(web: WebPush): Check {
  switch (web) {
    case 'on':
      return check('browser', 'ok', null)
    case 'off':
      return check('browser', 'bad', 'ask', 'off')
    case 'denied':
      return check('browser', 'bad', null)
    case 'unsupported':
      return check('browser', 'bad', null, 'unsupported')
  }
}

/** What a phone tells. What it does not tell is not said; what this one does not have is no fault of it. */
function phone(health: Health): (Check | null)[] {
  return [
    answered('critical', health.criticalAlerts, 'warn', 'notifications'),
    answered('sound', health.channelSound, 'bad', 'channel'),
    answered('dnd', health.dndBypass, 'bad', 'dnd'),
    answered('fullScreen', health.fullScreenIntent, 'warn', 'fullScreenIntent'),
    answered('battery', health.batteryUnrestricted, 'warn', 'battery'),
    answered('volume', health.alarmVolume, 'bad', 'sound'),
    health.focus === 'yes' && health.criticalAlerts !== 'yes' && health.dndBypass !== 'yes' ? check('focus', 'warn', { page: 'dnd' }) : null,
    health.pushConfigured === 'no' ? check('build', 'bad', null) : null,
  ]
}

function answered(id: string, answer: Answer, grade: Grade, page: SettingsPage): Check | null {
  if (answer === 'yes') return check(id, 'ok', null)
  return answer === 'no' ? check(id, grade, { page }) : null
}

function registered({ isTold, refusal, web, health }: Known): Check {
  if (refusal !== null) return check('token', 'bad', 'register', 'refused', { reason: refusal })
  if (isTold) return check('token', 'ok', null)
  const isAllowed = web === null ? health.notifications === 'granted' : web === 'on'
  return check('token', 'bad', isAllowed ? 'register' : null)
}

function receipt({ lastReceiptAt, now }: Known): Check | null {
  if (lastReceiptAt === undefined) return null
  if (lastReceiptAt === null) return check('receipt', 'warn', 'test', 'never')
  const isOld = now - Date.parse(lastReceiptAt) > SILENT_FOR
  return check('receipt', isOld ? 'warn' : 'ok', isOld ? 'test' : null, '', { age: ageText(lastReceiptAt, now) })
}

function network({ isOnline, isLive }: Known): Check {
  if (!isOnline) return check('network', 'bad', null)
  return isLive ? check('network', 'ok', null) : check('network', 'warn', null, 'late')
}

function clock({ offset }: Known): Check {
  if (Math.abs(offset) <= CLOCK_OFF) return check('clock', 'ok', null)
  const minutes = Math.max(1, Math.round(Math.abs(offset) / 60_000))
  return check('clock', 'warn', null, offset > 0 ? 'behind' : 'ahead', { minutes })
}

function check(id: string, grade: Grade, mend: Mend, kind = '', values: Record<string, string | number> = {}): Check {
  const way = kind === '' ? (grade === 'ok' ? 'ok' : 'bad') : kind
  const name = (part: string) => `health.${id}.${part}` as Parameters<typeof t>[0]
  return { id, grade, mend, title: t(name('title')), text: t(name(way), values) }
}

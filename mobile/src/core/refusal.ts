/** What somebody reads about an action of theirs that was refused. */

import { t, timeText, type MessageName } from './i18n'
import type { Refusal } from './outbox'

const STATES = ['created', 'escalated', 'acknowledged', 'resolved', 'closed']

export function refusalText(refusal: Refusal, now: number): string {
  return t('outbox.refused', { reason: reason(refusal, now) })
}

function reason({ status, details, message, by }: Refusal, now: number): string {
  const state = typeof details.state === 'string' && STATES.includes(details.state) ? details.state : null
  if (status === 409 && state !== null) {
    const words = t(`status.${state}` as MessageName).toLowerCase()
    if (typeof details.at !== 'string') return t('outbox.alreadyState', { state: words })
    const time = timeText(details.at, now)
    return by === null ? t('outbox.already', { state: words, time }) : t('outbox.alreadyBy', { state: words, name: by, time })
  }
  if (status === 404) return t('outbox.gone')
  if (status === 403) return t('outbox.forbidden')
  if (status === 412) return t('outbox.changed')
  return message
}

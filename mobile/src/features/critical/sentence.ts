/** What the red screen says beside its button: who was faster, what became of the answer, why it was refused. */

import type { Incident } from '../../core/api'
import { t, timeText } from '../../core/i18n'
import type { Entry } from '../../core/outbox'
import { refusalText } from '../../core/refusal'
import type { Phase } from './phase'

interface Known {
  incident: Incident | null
  entry: Entry | null
  /** The corrected time, in milliseconds. */
  now: number
  isOnline: boolean
  /** Null where it is not known yet, or may not be. */
  nameOf: (id: string | null | undefined) => string | null
}

/** Empty where the button says enough. */
export function sentenceOf(phase: Phase, { incident, entry, now, isOnline, nameOf }: Known): string {
  const time = (iso: string | null | undefined) => timeText(iso ?? incident?.updatedAt ?? new Date(now).toISOString(), now)
  const person = (who: string | null | undefined) => nameOf(who) ?? t('incidents.somebody')
  switch (phase) {
    case 'gone':
      return t('critical.gone')
    case 'over':
      return incident?.status === 'closed'
        ? t('critical.closed', { name: person(incident.closedBy), time: time(incident.closedAt) })
        : t('critical.resolved', { name: person(incident?.resolvedBy), time: time(incident?.resolvedAt) })
    case 'taken':
      return t('critical.taken', { name: person(incident?.acknowledgedBy), time: time(incident?.acknowledgedAt) })
    case 'quiet':
      return t('critical.quiet')
    case 'mine':
      return t('critical.mine')
    case 'sending':
      return t('critical.sending')
    case 'queued':
      return t('critical.queued')
    case 'refused':
      return entry?.refusal ? refusalText(entry.refusal, now) : ''
    default:
      return isOnline ? '' : t('critical.offline')
  }
}

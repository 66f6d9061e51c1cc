/** Why somebody was paged, in words for whoever was woken: the gateway's reason names levels and ids. */

import type { Schemas } from '../../core/api'
import { t } from '../../core/i18n'

export type Explained = Schemas['PersonExplained']
export type NameOf = (id: string, kind: 'user' | 'team' | 'schedule') => string | null

const THROUGH = /on level (\d+) through (schedule|user|team|role):([\w-]+)(?::(\w+))?/
const NOT_YET = /level (\d+) \((schedule|user|team|role):([\w-]+)(?::(\w+))?\) has not fired yet/

/** `within`: a text of the gateway with names for ids. */
export function why(person: Explained, nameOf: NameOf, within: (text: string) => string): string[] {
  const said = [t(`why.${person.outcome}`)]
  const paged = THROUGH.exec(person.reason)
  const later = paged === null ? NOT_YET.exec(person.reason) : null
  const found = paged ?? later
  if (found === null) return [...said, sentence(within(person.reason))]
  const [, level = '', kind = '', id = '', role = ''] = found
  return [...said, through(kind, id, role, nameOf), t(paged === null ? 'why.later' : 'why.level', { level })]
}

function through(kind: string, id: string, role: string, nameOf: NameOf): string {
  if (kind === 'schedule') return t('why.schedule', { name: nameOf(id, 'schedule') ?? t('why.aSchedule') })
  if (kind === 'team') {
    const name = nameOf(id, 'team') ?? t('why.aTeam')
    return t(role === 'manager' ? 'why.manager' : 'why.team', { name })
  }
  return kind === 'role' ? t('why.role', { role: id }) : t('why.user')
}

function sentence(text: string): string {
  const [first = '', ...rest] = [...text]
  return `${first.toUpperCase()}${rest.join('')}${/[.!?]$/.test(text) ? '' : '.'}`
}

/** Which incidents a list shows: asked of the gateway, and of what is here where the gateway is away. */

import type { Incident } from '../../core/api'
import { isOver, isUnanswered, type Priority } from './states'

export type View = 'open' | 'unanswered' | 'acknowledged' | 'resolved' | 'closed' | 'all'
export const VIEWS: readonly View[] = ['open', 'unanswered', 'acknowledged', 'resolved', 'closed', 'all']

export interface Filter {
  view: View
  priority: Priority | ''
  mine: boolean
  teamId: string
  q: string
}

export const EVERYTHING_OPEN: Readonly<Filter> = { view: 'open', priority: '', mine: false, teamId: '', q: '' }

export interface Question {
  status?: Incident['status']
  priority?: Priority
  assignedTo?: 'me'
  teamId?: string
  q?: string
  sort: 'priority' | '-updatedAt' | '-createdAt'
}

/** The gateway knows one status at a time: what is open is several lists, each with pages of its own. */
export function questions(filter: Filter): Question[] {
  const { view, priority, mine, teamId, q } = filter
  const common = {
    ...(priority === '' ? {} : { priority }),
    ...(mine ? { assignedTo: 'me' as const } : {}),
    ...(teamId === '' ? {} : { teamId }),
    ...(q.trim() === '' ? {} : { q: q.trim().slice(0, 255) }),
  }
  switch (view) {
    case 'open':
      return (['escalated', 'created', 'acknowledged'] as const).map((status) => ({ ...common, status, sort: 'priority' }))
    case 'unanswered':
      return (['escalated', 'created'] as const).map((status) => ({ ...common, status, sort: 'priority' }))
    case 'acknowledged':
      return [{ ...common, status: 'acknowledged', sort: 'priority' }]
    case 'resolved':
    case 'closed':
      return [{ ...common, status: view, sort: '-updatedAt' }]
    case 'all':
      return [{ ...common, sort: '-createdAt' }]
  }
}

/** The same, decided here. Words are looked for as they are: the gateway's search knows their forms, and `-` and `or`. */
export function matches(incident: Incident, filter: Filter, userId: string | null): boolean {
  return (
    isIn(incident, filter.view) &&
    (filter.priority === '' || incident.priority === filter.priority) &&
    (!filter.mine || (userId !== null && incident.assignedTo === userId)) &&
    (filter.teamId === '' || incident.teamId === filter.teamId) &&
    hasWords(incident, filter.q)
  )
}

function isIn(incident: Incident, view: View): boolean {
  if (view === 'all') return true
  if (view === 'open') return !isOver(incident)
  if (view === 'unanswered') return isUnanswered(incident)
  return incident.status === view
}

function hasWords({ title, description, number }: Incident, q: string): boolean {
  const text = `${title} ${description ?? ''} #${number}`.toLowerCase()
  const words = q.toLowerCase().split(/[\s"]+/).filter((word) => word !== '' && word !== 'or' && !word.startsWith('-'))
  return words.every((word) => text.includes(word))
}

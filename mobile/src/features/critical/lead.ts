/**
 * Whom «call lead» rings: a manager of the incident's team, without one somebody who leads, as the escalation to the
 * leads pages them. The API shows numbers to leads and admins alone: for everybody else they are paged, and we say so.
 */

import { app, fullName } from '../../core/app.svelte'
import type { Incident, Schemas, User } from '../../core/api'
import { whole } from '../../core/whole'

type Member = Schemas['MemberView']

export interface Lead {
  id: string
  name: string
  /** As the API has it, `+4915112345678`; null: not for us, or there is none. */
  phone: string | null
}

/** Null where nobody leads, or it cannot be found out now. */
export async function findLead(incident: Incident): Promise<Lead | null> {
  try {
    const found = (await manager(incident.teamId ?? null)) ?? (await anyLead())
    return found === null ? null : { id: found.id, name: fullName(found), phone: dialable(found.phone) }
  } catch {
    return null
  }
}

async function manager(teamId: string | null): Promise<User | null> {
  if (teamId === null) return null
  const isManager = (one: Member) => one.role === 'manager' && one.isActive && one.userId !== app.user?.id
  const members = await whole<Member>(
    async (cursor) => {
      const page = await app.api.get('/api/v1/teams/{id}/members', { path: { id: teamId }, query: { limit: 100, cursor } })
      return [page.members, page.nextCursor]
    },
    (one) => isManager(one) && one.reachable,
  )
  const managers = members.filter(isManager)
  const first = managers.find((one) => one.reachable) ?? managers[0]
  return first === undefined ? null : (await app.api.get('/api/v1/users/{id}', { path: { id: first.userId } })).user
}

async function anyLead(): Promise<User | null> {
  const isOther = (one: User) => one.isActive !== false && one.id !== app.user?.id
  const people = await whole<User>(
    async (cursor) => {
      const page = await app.api.get('/api/v1/users', { query: { limit: 100, cursor } })
      return [page.users, page.nextCursor]
    },
    (one) => isOther(one) && one.roles.includes('lead'),
  )
  const others = people.filter(isOther)
  return others.find((one) => one.roles.includes('lead')) ?? others.find((one) => one.roles.includes('admin')) ?? null
}

/** Nothing but a number goes into a `tel:` link. */
export function dialable(phone: string | null | undefined): string | null {
  return typeof phone === 'string' && /^\+?[0-9]{3,15}$/.test(phone) ? phone : null
}

/**
 * Whom «call lead» rings: a manager of the incident's team, without one somebody who leads, as the escalation to the
 * leads pages them. The API shows numbers to leads and admins alone: for everybody else they are paged, and we say so.
 */

import { app, fullName } from '../../core/app.svelte'
import type { Incident, User } from '../../core/api'

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
  const query = { limit: 100 }
  const { members } = await app.api.get('/api/v1/teams/{id}/members', { path: { id: teamId }, query })
  const managers = members.filter((one) => one.role === 'manager' && one.isActive && one.userId !== app.user?.id)
  const first = managers.find((one) => one.reachable) ?? managers[0]
  return first === undefined ? null : (await app.api.get('/api/v1/users/{id}', { path: { id: first.userId } })).user
}

async function anyLead(): Promise<User | null> {
  const { users } = await app.api.get('/api/v1/users', { query: { limit: 100 } })
  const others = users.filter((one) => one.isActive !== false && one.id !== app.user?.id)
  return others.find((one) => one.roles.includes('lead')) ?? others.find((one) => one.roles.includes('admin')) ?? null
}

/** Nothing but a number goes into a `tel:` link. */
export function dialable(phone: string | null | undefined): string | null {
  return typeof phone === 'string' && /^\+?[0-9]{3,15}$/.test(phone) ? phone : null
}

/** What somebody may do, as far as it is known here: for what is offered. The gateway decides. */

import { app } from '../../core/app.svelte'
import { isIn, type Schedule } from './plan'

/** Change a schedule, and anybody's overrides: its team's managers, or leads where it is nobody's. A lead is no manager by that. */
export function mayManage(schedule: Schedule): boolean {
  const { teamId } = schedule
  if (app.isAdmin || teamId === null || teamId === undefined) return app.isLead
  return (app.user?.teams ?? []).some((team) => team.id === teamId && team.role === 'manager')
}

/** Take over: also whoever has turns in it, for themselves. */
export function mayCover(schedule: Schedule): boolean {
  return mayManage(schedule) || (app.user !== null && isIn(schedule, app.user.id))
}

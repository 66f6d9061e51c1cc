import type { Route } from '../../core/routes'

// No roles: what belongs to a team its managers change too, whatever their role. The gateway decides, and says what is missing.

export const routes: readonly Route[] = [
  { path: '/admin', load: () => import('./Menu.svelte') },
  { path: '/admin/people', load: () => import('./People.svelte') },
  { path: '/admin/people/:id', load: () => import('./Person.svelte') },
  { path: '/admin/invites', load: () => import('./Invites.svelte') },
  { path: '/admin/teams', load: () => import('./Teams.svelte') },
  { path: '/admin/teams/:id', load: () => import('./Team.svelte') },
  { path: '/admin/schedules', load: () => import('./Schedules.svelte') },
  { path: '/admin/schedules/:id', load: () => import('./ScheduleEditor.svelte') },
  { path: '/admin/policies', load: () => import('./Policies.svelte') },
  { path: '/admin/policies/:id', load: () => import('./PolicyEditor.svelte') },
  { path: '/admin/integrations', load: () => import('./Integrations.svelte') },
  { path: '/admin/integrations/:id', load: () => import('./Integration.svelte') },
  { path: '/admin/analytics', load: () => import('./Analytics.svelte') },
  { path: '/admin/reviews', load: () => import('./Reviews.svelte') },
  { path: '/admin/reviews/:id', load: () => import('./Review.svelte') },
  { path: '/admin/system', load: () => import('./System.svelte') },
]

import type { Route } from '../../core/routes'

export const routes: readonly Route[] = [
  { path: '/oncall', load: () => import('./OnCall.svelte') },
  { path: '/oncall/:id', load: () => import('./Schedule.svelte') },
]

import type { Route } from '../../core/routes'

export const routes: readonly Route[] = [
  { path: '/oncall', load: () => import('../../ui/Later.svelte') },
]

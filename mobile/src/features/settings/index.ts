import type { Route } from '../../core/routes'

export const routes: readonly Route[] = [
  { path: '/settings', load: () => import('../../ui/Later.svelte') },
]

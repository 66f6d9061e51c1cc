import type { Route } from '../../core/routes'

export const routes: readonly Route[] = [
  { path: '/alert/:id', load: () => import('../../ui/Later.svelte'), isFull: true },
]

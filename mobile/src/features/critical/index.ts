import type { Route } from '../../core/routes'

export const routes: readonly Route[] = [
  { path: '/alert/:id', load: () => import('./Alert.svelte'), isFull: true },
  { path: '/incidents/:id/alert', load: () => import('./Alert.svelte'), isFull: true },
]

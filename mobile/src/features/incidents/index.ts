import type { Route } from '../../core/routes'

export const routes: readonly Route[] = [
  { path: '/incidents', load: () => import('../../ui/Later.svelte') },
  { path: '/incidents/:id', load: () => import('../../ui/Later.svelte') },
]

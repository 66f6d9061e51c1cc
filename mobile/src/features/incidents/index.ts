import type { Route } from '../../core/routes'

export const routes: readonly Route[] = [
  { path: '/incidents', load: () => import('./List.svelte') },
  { path: '/incidents/new', load: () => import('./Create.svelte') },
  { path: '/incidents/:id', load: () => import('./Detail.svelte') },
]

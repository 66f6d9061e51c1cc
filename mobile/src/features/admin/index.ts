import type { Route } from '../../core/routes'

export const routes: readonly Route[] = [
  { path: '/admin', load: () => import('../../ui/Later.svelte'), roles: ['lead', 'admin'] },
]

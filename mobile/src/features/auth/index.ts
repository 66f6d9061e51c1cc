import type { Route } from '../../core/routes'

export const routes: readonly Route[] = [
  { path: '/sign-in', load: () => import('./SignIn.svelte'), isOpen: true, isFull: true },
  { path: '/register', load: () => import('./Register.svelte'), isOpen: true, isFull: true },
  { path: '/oidc', load: () => import('./SignIn.svelte'), isOpen: true, isFull: true },
]

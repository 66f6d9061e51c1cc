import type { Route } from '../../core/routes'

export const routes: readonly Route[] = [
  { path: '/settings', load: () => import('./Settings.svelte') },
  { path: '/settings/profile', load: () => import('./Profile.svelte') },
  { path: '/settings/password', load: () => import('./Password.svelte') },
  { path: '/settings/second-factor', load: () => import('./SecondFactor.svelte') },
  { path: '/settings/devices', load: () => import('./Devices.svelte') },
  { path: '/settings/health', load: () => import('./Health.svelte') },
  { path: '/settings/sessions', load: () => import('./Sessions.svelte') },
  { path: '/settings/app', load: () => import('./ThisApp.svelte') },
  { path: '/settings/diagnostics', load: () => import('./Diagnostics.svelte') },
  { path: '/settings/about', load: () => import('./About.svelte') },
]

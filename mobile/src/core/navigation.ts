import { routes as admin } from '../features/admin'
import { routes as auth } from '../features/auth'
import { routes as critical } from '../features/critical'
import { routes as incidents } from '../features/incidents'
import { routes as oncall } from '../features/oncall'
import { routes as settings } from '../features/settings'
import { isPhone } from '../native/platform'
import { Router } from './router.svelte'

export const router = new Router([...auth, ...incidents, ...critical, ...oncall, ...admin, ...settings], isPhone ? '' : '/app')

/** Whoever is not signed in comes back to what they wanted. */
export function toSignIn(): void {
  router.go(`/sign-in?to=${encodeURIComponent(router.path)}`, { replace: true })
}

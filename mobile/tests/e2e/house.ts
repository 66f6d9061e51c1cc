/** A small organisation that is the same each time, and every screen of the app in it. */

import type { Page } from 'playwright-core'
import { incidents as words } from '../../src/messages/en/incidents'
import { asAdmin, call, forgetTokens, openIncident, person, tokenOf, type Person } from './api'

export interface House {
  lena: Person
  burning: string
  taken: string
  over: string
  ids: { schedule: string; team: string; policy: string; integration: string }
  invite: string
}

/** Weeks from a Monday that is long past: who is on call follows from the day alone. */
const SINCE = '2026-01-05T09:00:00'

export async function build(): Promise<House> {
  const named = (first: string, last: string, roles?: string[], email?: string) => person(first, last, roles, { ...(email ? { email } : {}), timezone: 'UTC' })
  const lena = await named('Lena', 'Okafor', ['lead'], 'lena@pager.local')
  const mira = await named('Mira', 'Lindqvist', ['user'], 'mira@pager.local')
  const tomas = await named('Tomás', 'Ferreira', ['user'], 'tomas@pager.local')
  const yuki = await named('Yuki', 'Tanaka', ['user'], 'yuki@pager.local')

  const { team } = await asAdmin<{ team: { id: string } }>('POST', '/teams', { name: 'Payments', description: 'Checkout, cards and refunds.' })
  for (const [one, role] of [[lena, 'manager'], [mira, 'member'], [tomas, 'member']] as const) {
    await asAdmin('POST', `/teams/${team.id}/members`, { userId: one.id, role })
  }
  const { schedule } = await asAdmin<{ schedule: { id: string } }>('POST', '/on-call/schedules', {
    name: 'Payments, round the clock',
    timezone: 'UTC',
    teamId: team.id,
    layers: [{ rotationType: 'daily', start: SINCE, participants: [mira.id, tomas.id, yuki.id] }],
  })
  const { policy } = await asAdmin<{ policy: { id: string } }>('POST', '/escalation/policies', {
    name: 'Payments',
    repeat: 1,
    levels: [
      { timeoutMinutes: 15, targets: [{ type: 'user', id: mira.id }] },
      { timeoutMinutes: 20, targets: [{ type: 'user', id: tomas.id }] },
    ],
  })
  const { integration } = await asAdmin<{ integration: { id: string } }>('POST', '/integrations', { name: 'Prometheus', type: 'alertmanager', policyId: policy.id })
  await asAdmin('POST', '/invites', { email: 'noor@example.com', roles: ['user'], teamIds: [team.id] })
  const { invite } = await asAdmin<{ invite: { link: { url: string } } }>('POST', '/invites', { email: 'ada@example.com', roles: ['user'] })

  const open = (title: string, priority: string, description: string, location: string, more: Record<string, unknown> = {}) =>
    openIncident(title, { priority, description, policyId: policy.id, metadata: { location, service: 'checkout' }, ...more })
  const over = await open('Certificate of the shop ends in 3 days', 'low', 'It ends on Thursday.', 'eu-west-1')
  const taken = await open('Refund queue grows: 12,400 waiting', 'high', 'The consumer stands since the last release.', 'eu-west-1')
  await open('Search answers slowly: p95 at 1.9 s', 'medium', 'Two of six nodes are rebalancing.', 'eu-central-1')
  const burning = await open('Checkout is down: 38 % of payments fail', 'critical', 'The card processor answers 503 since the deployment of 14:02. Nothing is charged twice.', 'Frankfurt, hall 3')
  forgetTokens()
  const asMira = await tokenOf(mira)
  const asLena = await tokenOf(lena)
  await call('POST', `/incidents/${taken.id}/acknowledge`, {}, asMira)
  await call('POST', `/incidents/${taken.id}/notes`, { text: 'Rolled back to the release before. The queue shrinks.' }, asMira)
  await call('POST', `/incidents/${over.id}/acknowledge`, {}, asLena)
  await call('POST', `/incidents/${over.id}/resolve`, {}, asLena)
  const ids = { schedule: schedule.id, team: team.id, policy: policy.id, integration: integration.id }
  return { lena, burning: burning.id, taken: taken.id, over: over.id, ids, invite: invite.link.url }
}

export interface Screen {
  name: string
  path: string
  /** Signed in as the admin, unless nobody is. */
  isOpen?: boolean
  /** What it shows follows from the day on which it is looked at: no picture of it is compared. */
  moves?: boolean
  /** What is done before it is looked at. */
  then?: (page: Page) => Promise<void>
}

const sheet = (name: string) => async (page: Page) => {
  await page.getByRole('button', { name, exact: true }).first().tap()
  await page.getByRole('dialog').waitFor()
}

export function screens({ burning, taken, over, ids, lena, invite }: House): Screen[] {
  return [
    { name: 'sign-in', path: '/sign-in', isOpen: true },
    { name: 'register', path: new URL(invite).pathname.replace('/app', '') + new URL(invite).hash, isOpen: true },
    { name: 'register-without-link', path: '/register', isOpen: true },
    { name: 'incidents', path: '/incidents' },
    { name: 'incidents-selecting', path: '/incidents', then: (page) => page.getByRole('button', { name: words['incidents.select'], exact: true }).tap() },
    { name: 'incidents-none', path: '/incidents', then: (page) => page.getByLabel(words['incidents.search']).fill('no such thing') },
    { name: 'incident-new', path: '/incidents/new' },
    { name: 'incident-burning', path: `/incidents/${burning}` },
    { name: 'incident-taken', path: `/incidents/${taken}` },
    { name: 'incident-over', path: `/incidents/${over}` },
    { name: 'incident-snooze', path: `/incidents/${burning}`, then: sheet(words['action.snooze']) },
    { name: 'incident-reassign', path: `/incidents/${burning}`, then: sheet(words['action.reassign']) },
    { name: 'incident-escalate', path: `/incidents/${burning}`, then: sheet(words['action.escalate']) },
    { name: 'incident-edit', path: `/incidents/${burning}`, then: sheet(words['action.edit']) },
    { name: 'incident-gone', path: '/incidents/00000000-0000-4000-8000-000000000000' },
    { name: 'alert', path: `/alert/${burning}` },
    { name: 'alert-over', path: `/alert/${over}`, moves: true },
    { name: 'oncall', path: '/oncall', moves: true },
    { name: 'oncall-schedule', path: `/oncall/${ids.schedule}`, moves: true },
    { name: 'admin', path: '/admin' },
    { name: 'admin-people', path: '/admin/people' },
    { name: 'admin-person', path: `/admin/people/${lena.id}` },
    { name: 'admin-invites', path: '/admin/invites', moves: true },
    { name: 'admin-teams', path: '/admin/teams' },
    { name: 'admin-team', path: `/admin/teams/${ids.team}` },
    { name: 'admin-schedules', path: '/admin/schedules', moves: true },
    { name: 'admin-schedule', path: `/admin/schedules/${ids.schedule}`, moves: true },
    { name: 'admin-policies', path: '/admin/policies' },
    { name: 'admin-policy', path: `/admin/policies/${ids.policy}` },
    { name: 'admin-integrations', path: '/admin/integrations' },
    { name: 'admin-integration', path: `/admin/integrations/${ids.integration}`, moves: true },
    { name: 'admin-analytics', path: '/admin/analytics', moves: true },
    { name: 'admin-reviews', path: '/admin/reviews', moves: true },
    { name: 'admin-review', path: `/admin/reviews/${over}`, moves: true },
    { name: 'admin-system', path: '/admin/system', moves: true },
    { name: 'settings', path: '/settings' },
    { name: 'settings-profile', path: '/settings/profile' },
    { name: 'settings-password', path: '/settings/password' },
    { name: 'settings-second-factor', path: '/settings/second-factor' },
    { name: 'settings-devices', path: '/settings/devices', moves: true },
    { name: 'settings-health', path: '/settings/health', moves: true },
    { name: 'settings-sessions', path: '/settings/sessions', moves: true },
    { name: 'settings-app', path: '/settings/app' },
    { name: 'settings-diagnostics', path: '/settings/diagnostics', moves: true },
    { name: 'settings-about', path: '/settings/about', moves: true },
    { name: 'not-found', path: '/no/such/screen' },
  ]
}

/** Its heading is there, nothing is on its way any more, and nothing moves. */
const STARTS = 25
const starts = new WeakMap<Page, number[]>()

/** Each start of the app renews its session, which may be done thirty times a minute; who walks through all screens is faster. */
async function inItsTurn(page: Page): Promise<void> {
  const before = starts.get(page) ?? []
  const first = before.length < STARTS ? 0 : (before[0] ?? 0) + 60_000
  await new Promise((done) => setTimeout(done, Math.max(0, first - Date.now())))
  starts.set(page, [...before, Date.now()].slice(-STARTS))
}

export async function show(page: Page, base: string, screen: Screen): Promise<void> {
  await inItsTurn(page)
  await page.goto(`${base}/app${screen.path}`)
  await still(page)
  if (screen.then !== undefined) {
    await screen.then(page)
    await still(page)
  }
}
export async function still(page: Page): Promise<void> {
  await page.locator('h1, [role="alertdialog"]').first().waitFor()
  await page.waitForLoadState('networkidle')
  await page.waitForFunction(() => document.querySelector('[aria-busy="true"], .skeleton') === null)
  await page.evaluate(() => document.fonts.ready.then(() => undefined))
}

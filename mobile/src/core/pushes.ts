/** What a phone's own code tells: a notification was touched, and what became of an answer that needed no app. */

import { alerts } from '../native/alerts'
import { isPhone } from '../native/platform'
import { toasts } from '../ui/toasts.svelte'
import { app } from './app.svelte'
import { t } from './i18n'
import { alertPath } from './routes'

export async function listenForPushes(go: (path: string) => void): Promise<void> {
  if (!isPhone) return
  await alerts.addListener('opened', ({ incidentId, action }) => go(alertPath(incidentId, { call: action === 'callLead' })))
  // With the app in front nothing else covers the screen.
  await alerts.addListener('received', ({ incidentId, kind, priority }) => {
    app.hurry()
    if (kind === 'page' && priority === 'critical') go(alertPath(incidentId))
  })
  await alerts.addListener('acknowledged', () => {
    app.hurry()
    app.list()
  })
  await alerts.addListener('refused', ({ reason }) => {
    toasts.show(t('push.refusedWith', { reason }), { kind: 'error', lasts: 15_000 })
    app.list()
  })
}

/** The bridge to `PagerAlerts` (mobile/plugins/pager-alerts): what wakes somebody, and the key that never leaves. */

import { registerPlugin } from '@capacitor/core'
import type { PagerAlertsPlugin } from 'pager-alerts'

export type { Answer, Health, PagerAlertsPlugin, Permission, Priority, SettingsPage } from 'pager-alerts'

/** In a browser our own: it beeps as well, and has no key, since `core/devicekey.ts` has it. */
export const alerts: PagerAlertsPlugin = registerPlugin<PagerAlertsPlugin>('PagerAlerts', {
  web: () => import('./alerts.web').then((module) => new module.WebAlerts()),
})

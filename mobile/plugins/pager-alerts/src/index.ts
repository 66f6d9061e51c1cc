import { registerPlugin } from '@capacitor/core';

import type { PagerAlertsPlugin } from './definitions';

/** The native half of the app; in a browser, the fallback of `web.ts`. */
export const PagerAlerts = registerPlugin<PagerAlertsPlugin>('PagerAlerts', {
  web: () => import('./web').then(({ PagerAlertsWeb }) => new PagerAlertsWeb()),
});

export type * from './definitions';

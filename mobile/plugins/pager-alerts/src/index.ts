import { registerPlugin } from '@capacitor/core';

import type { PagerAlertsPlugin } from './definitions';

/** The native half of the app. What a browser does in its place is the app's own (`src/native/alerts.web.ts`). */
export const PagerAlerts = registerPlugin<PagerAlertsPlugin>('PagerAlerts');

export type * from './definitions';

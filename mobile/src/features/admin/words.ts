/** The texts of these screens come with them. */

import { learn } from '../../core/i18n'
import { admin } from '../../messages/en/admin'

learn(admin)

export { t, tn, tongue } from '../../core/i18n'

/** The texts of these screens come with them. */

import { learn } from '../../core/i18n'
import { oncall } from '../../messages/en/oncall'

learn(oncall)

export { t, tn, tongue } from '../../core/i18n'

/** The texts of forms come with the first screen that has one. */

import { learn } from '../../core/i18n'
import { form } from '../../messages/en/form'

learn(form)

export { t } from '../../core/i18n'

/** All texts in English. A feature's are in its own file beside this one. */

import { admin } from './en/admin'
import { auth } from './en/auth'
import { core } from './en/core'
import { critical } from './en/critical'
import { incidents } from './en/incidents'
import { oncall } from './en/oncall'
import { push } from './en/push'
import { settings } from './en/settings'

export const en = { ...core, ...auth, ...incidents, ...critical, ...oncall, ...admin, ...push, ...settings }
export type MessageName = keyof typeof en

/** All texts in English. A feature's are in its own file beside this one. */

import type { admin } from './en/admin'
import { auth } from './en/auth'
import { core } from './en/core'
import { critical } from './en/critical'
import type { form } from './en/form'
import { incidents } from './en/incidents'
import type { oncall } from './en/oncall'
import { push } from './en/push'
import { settings } from './en/settings'

export const en = { ...core, ...auth, ...incidents, ...critical, ...push, ...settings }
/** Learnt by `learn` with the screens that say them: nobody waits for them before the first screen. */
type Later = typeof admin & typeof form & typeof oncall
/** What another language has at least: the rest is in English until it has that as well. */
export type FirstMessages = Record<keyof typeof en, string>
export type MessageName = keyof typeof en | keyof Later

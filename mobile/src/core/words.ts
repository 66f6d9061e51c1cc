import type { User } from './api'
import { ApiError } from './errors'
import { t, type MessageName } from './i18n'
import { StorageFull } from './db'

const SAID: readonly string[] = [
  ...['NETWORK', 'TIMEOUT', 'BAD_ANSWER', 'SIGNED_OUT', 'RATE_LIMITED', 'MAINTENANCE', 'UNAVAILABLE', 'INTERNAL'],
]

/** What somebody reads about an error: the gateway's own words where it says what is wrong with what they asked for. */
export function errorText(error: unknown): string {
  if (error instanceof StorageFull) return t('error.storage')
  if (!(error instanceof ApiError)) return t('error.title')
  if (SAID.includes(error.code)) return t(`error.${error.code}` as MessageName)
  return error.details.reason ?? error.message
}

export function fullName(user: Pick<User, 'firstName' | 'lastName'>): string {
  return `${user.firstName} ${user.lastName}`.trim()
}

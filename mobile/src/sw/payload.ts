/**
 * What a push says (services/notifier/push/message.py): texts from somewhere, so that nothing of it is believed beyond
 * its shape. Where it leads is made here, of ids: an address in it is not read.
 */

export type Kind = 'page' | 'acknowledged' | 'resolved' | 'withdrawn'
export type Priority = 'critical' | 'high' | 'medium' | 'low'

export interface Pushed {
  notificationId: string
  /** null: a test that its person has sent to themselves. */
  incidentId: string | null
  kind: Kind
  priority: Priority
  title: string
  body: string
  level: number | null
}

/** Web Push carries 4096 bytes; whatever is longer did not come from there. */
export const MOST_BYTES = 8_192
const LONGEST_TITLE = 200
const LONGEST_BODY = 600
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const QUIET: readonly string[] = ['acknowledged', 'resolved', 'withdrawn']
const PRIORITIES: readonly string[] = ['critical', 'high', 'medium', 'low']

/** null: it is none of ours, or was broken under way. */
export function parse(text: string): Pushed | null {
  if (text.length > MOST_BYTES) return null
  let said: unknown
  try {
    said = JSON.parse(text)
  } catch {
    return null
  }
  if (typeof said !== 'object' || said === null || Array.isArray(said)) return null
  const given = said as Record<string, unknown>
  const notificationId = uuid(given['notificationId'])
  const incidentId = uuid(given['incidentId'])
  const isTest = given['test'] === 'true' || given['test'] === true
  if (notificationId === null || (incidentId === null && !isTest)) return null
  const level = Number(given['level'] ?? Number.NaN)
  return {
    notificationId,
    incidentId: isTest ? null : incidentId,
    // What is not known makes a noise: it must not be a silent page.
    kind: QUIET.includes(given['kind'] as string) ? (given['kind'] as Kind) : 'page',
    priority: PRIORITIES.includes(given['priority'] as string) ? (given['priority'] as Priority) : 'critical',
    title: shortened(given['title'], LONGEST_TITLE),
    body: shortened(given['body'], LONGEST_BODY),
    level: Number.isInteger(level) && level >= 0 && level <= 1_000 ? level : null,
  }
}

/** What a notification of ours carries for when it is touched: another version of this worker may have made it. */
export function carried(data: unknown): Pushed | null {
  try {
    return parse(JSON.stringify(data) ?? '')
  } catch {
    return null
  }
}

function uuid(value: unknown): string | null {
  return typeof value === 'string' && UUID.test(value) ? value.toLowerCase() : null
}

/** One or more lines without control characters, nor the marks with which a text is read in another order. */
function shortened(value: unknown, longest: number): string {
  if (typeof value !== 'string') return ''
  const plain = value.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, ' ').trim()
  const letters = [...plain]
  return letters.length <= longest ? plain : `${letters.slice(0, longest - 1).join('').trimEnd()}…`
}

/** Every visible text, by a name: `src/messages/en.ts` has them, another language would have the same names. */

import { en, type FirstMessages, type MessageName } from '../messages/en'

export type { MessageName }
export type Messages = Record<MessageName, string>
type Values = Record<string, string | number>

let language = 'en'
let messages = en as Messages
let plurals = new Intl.PluralRules(language)

/** Another language, for screens that are made from now on. */
export function speak(tongue: string, words: FirstMessages & Partial<Messages>): void {
  language = tongue
  messages = { ...messages, ...words }
  plurals = new Intl.PluralRules(tongue)
}

/** Texts that come with screens which are loaded later. Those of the language that is spoken by now stay. */
export function learn(words: Partial<Messages>): void {
  messages = { ...words, ...messages }
}

/** For `Intl`: dates and numbers are written as the texts around them are. */
export function tongue(): string {
  return language
}

/** `{name}` in the text is replaced. Values are texts and never markup. What a newer gateway alone knows is shown as it is called. */
export function t(name: MessageName, values: Values = {}): string {
  const text: string | undefined = messages[name]
  return (text ?? called(name)).replace(/\{(\w+)\}/g, (whole, key: string) => (key in values ? String(values[key]) : whole))
}

/** `state.on_hold`: "On hold". */
function called(name: string): string {
  const words = name.slice(name.lastIndexOf('.') + 1).replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** A text that says how many: `name.one`, `name.other`; `{count}` is in the language's digits. */
export function tn(name: string, count: number, values: Values = {}): string {
  const fitting = `${name}.${plurals.select(count)}`
  const found = (fitting in messages ? fitting : `${name}.other`) as MessageName
  return t(found, { ...values, count: new Intl.NumberFormat(language).format(count) })
}

/** 03:12, or with the day where it is another one than `now`'s. */
export function timeText(iso: string, now: number): string {
  const at = new Date(iso)
  const isToday = at.toDateString() === new Date(now).toDateString()
  const day: Intl.DateTimeFormatOptions = isToday ? {} : { day: 'numeric', month: 'short' }
  return new Intl.DateTimeFormat(language, { ...day, hour: '2-digit', minute: '2-digit', hour12: false }).format(at)
}

const STEPS: readonly [unit: Intl.RelativeTimeFormatUnit, seconds: number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
]

/** 2 min ago; now. Nothing is in the future: that is a clock's error. */
export function ageText(iso: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(iso)) / 1_000)
  const said = new Intl.RelativeTimeFormat(language, { style: 'short', numeric: 'auto' })
  for (const [unit, length] of STEPS) if (seconds >= length) return said.format(-Math.floor(seconds / length), unit)
  return said.format(0, 'second')
}

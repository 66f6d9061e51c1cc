/** Every visible text, by a name: `src/messages/en.ts` has them, another language would have the same names. */

import { en, type FirstMessages, type MessageName } from '../messages/en'

export type { MessageName }
export type Messages = Record<MessageName, string>
type Values = Record<string, string | number>

let language = 'en'
let messages = en as Messages
let plurals = new Intl.PluralRules(language)
let numbers: Intl.NumberFormat | null = null

/** Another language, for screens that are made from now on. */
export function speak(tongue: string, words: FirstMessages & Partial<Messages>): void {
  language = tongue
  messages = { ...messages, ...words }
  plurals = new Intl.PluralRules(tongue)
  numbers = null
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
  return t(found, { ...values, count: digits(count) })
}

/** The first formatter of numbers costs a slow phone a tenth of a second: short ones, which the first screen has, do without. */
function digits(count: number): string {
  if (language === 'en' && Number.isInteger(count) && count >= 0 && count < 1_000) return String(count)
  numbers ??= new Intl.NumberFormat(language)
  return numbers.format(count)
}

/** 03:12, or with the day where it is another one than `now`'s. */
export function timeText(iso: string, now: number): string {
  const at = new Date(iso)
  const isToday = at.toDateString() === new Date(now).toDateString()
  const day: Intl.DateTimeFormatOptions = isToday ? {} : { day: 'numeric', month: 'short' }
  return new Intl.DateTimeFormat(language, { ...day, hour: '2-digit', minute: '2-digit', hour12: false }).format(at)
}

const STEPS = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
] as const

/** 2 min. ago; now. Nothing is in the future: that is a clock's error. */
export function ageText(iso: string, now: number): string {
  const seconds = Math.max(0, (now - Date.parse(iso)) / 1_000)
  for (const [unit, length] of STEPS) if (seconds >= length) return tn(`age.${unit}`, Math.floor(seconds / length))
  return t('age.now')
}

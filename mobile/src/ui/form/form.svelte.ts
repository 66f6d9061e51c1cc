/** A form that is sent: busy while it is, and each refusal stands at the field that it names. */

import { tick } from 'svelte'
import { app } from '../../core/app.svelte'
import { ApiError } from '../../core/errors'
import { t } from './words'
import { errorText } from '../../core/words'

export class Form {
  isBusy = $state(false)
  /** What no field of the form is at fault for. */
  error = $state<string | null>(null)
  private faults = $state.raw<Readonly<Record<string, string>>>({})
  private node: HTMLElement | null = null
  /** Somebody has changed it meanwhile: what was looked at is not what there is. */
  isStale = $state(false)

  /** `fields`: those that the form shows, as the API names them; `levels` is also for `levels.0.timeoutMinutes`. */
  constructor(private readonly fields: readonly string[] = []) {}

  /** What is wrong with a field, or with the part of it that `name` says. */
  at(name: string): string | null {
    return this.faults[name] ?? null
  }

  /** Of a field and everything in it that has no place of its own. */
  within(name: string, but: readonly string[] = []): string | null {
    const found = Object.entries(this.faults).find(([field]) => (field === name || field.startsWith(`${name}.`)) && !but.includes(field))
    return found?.[1] ?? null
  }

  fail(field: string, text: string): void {
    this.faults = { ...this.faults, [field]: text }
    void this.reveal()
  }

  /** For `{@attach form.attach}`: whoever sends it is taken to what is at fault, also where that is out of sight. */
  readonly attach = (node: HTMLElement): (() => void) => {
    this.node = node
    return () => {
      this.node = null
    }
  }

  private async reveal(): Promise<void> {
    await tick()
    const field = this.node?.querySelector<HTMLElement>('[aria-invalid="true"]')
    if (field) field.focus()
    else this.node?.querySelector<HTMLElement>('[role="alert"]')?.scrollIntoView?.({ block: 'center' })
  }

  clear(): void {
    this.error = null
    this.faults = {}
    this.isStale = false
  }

  /** What need not be asked to be known, each at its field; whether there is nothing of it. */
  accepts(faults: Iterable<readonly [string, string]>): boolean {
    this.clear()
    const found = [...faults]
    for (const [field, text] of found) this.fail(field, text)
    return found.length === 0
  }

  /** Whether it was done. A second press while it is being done does nothing. */
  async send(work: () => Promise<unknown>): Promise<boolean> {
    if (this.isBusy) return false
    this.isBusy = true
    this.clear()
    try {
      await work()
      return true
    } catch (error) {
      this.refused(error)
      return false
    } finally {
      this.isBusy = false
    }
  }

  refused(error: unknown): void {
    if (!(error instanceof ApiError)) {
      app.reports.error(error, 'form')
      this.error = errorText(error)
      return
    }
    const field = error.details.field ?? null
    if (error.status === 412) {
      this.isStale = true
      this.error = t('form.stale')
    } else if (field !== null && this.fields.some((one) => field === one || field.startsWith(`${one}.`))) {
      this.fail(field, errorText(error))
    } else this.error = refusal(error)
    void this.reveal()
  }
}

/** A refusal that says also that it is one, and which field nobody shows. */
export function refusal(error: unknown): string {
  if (!(error instanceof ApiError)) return errorText(error)
  if (error.status === 403) return t('form.forbidden', { reason: error.details.reason ?? error.message })
  const field = error.details.field
  return field ? t('form.field', { field, reason: errorText(error) }) : errorText(error)
}

/** An integration that is made or changed, and its keys. */

import type { Schemas } from '../../core/api'
import { app } from '../../core/app.svelte'
import { Form } from '../../ui/form/form.svelte'
import { Held } from '../../ui/form/held.svelte'
import { t } from './words'

export type Integration = Schemas['IntegrationView']
export const TYPES: readonly Schemas['IntegrationKind'][] = ['generic', 'pagerduty', 'opsgenie', 'alertmanager', 'grafana', 'cloudevents', 'email', 'heartbeat']
/** As many may live at once, while senders change over. */
export const MOST_KEYS = 2

export class IntegrationEditor {
  readonly held: Held<Integration>
  readonly form = new Form(['name', 'type', 'policyId', 'teamId'])
  readonly isNew: boolean
  name = $state('')
  type = $state<string>('generic')
  policyId = $state('')
  teamId = $state('')
  /** Said once, by the answer that made it: it is nowhere else, and goes with the screen. */
  key = $state<string | null>(null)
  /** What was made: its page is next. */
  madeId: string | null = null

  constructor(readonly id: string) {
    this.isNew = id === 'new'
    this.held = new Held<Integration>(async () => {
      const { body, etag } = await app.api.whole('get', '/api/v1/integrations/{id}', { path: { id } })
      return { value: body.data.integration, etag }
    })
  }

  async load(): Promise<void> {
    this.form.clear()
    if (this.isNew) return
    await this.held.load()
    const one = this.held.value
    if (one === null) return
    this.name = one.name
    this.type = one.type
    this.policyId = one.policyId ?? ''
    this.teamId = one.teamId ?? ''
  }

  async save(): Promise<boolean> {
    if (this.name.trim() === '') {
      this.form.clear()
      this.form.fail('name', t('admin.needed'))
      return false
    }
    return this.form.send(async () => {
      const policyId = this.policyId || null
      const teamId = this.teamId || null
      const before = this.held.value
      if (this.isNew) {
        const body = { name: this.name, type: this.type as Schemas['IntegrationKind'], policyId, teamId }
        const { integration } = await app.api.post('/api/v1/integrations', { body })
        this.madeId = integration.id
        this.key = integration.key ?? null
        return
      }
      const body: Schemas['IntegrationChange'] = {
        ...(this.name === before?.name ? {} : { name: this.name }),
        ...(policyId === (before?.policyId ?? null) ? {} : { policyId }),
        ...(teamId === (before?.teamId ?? null) ? {} : { teamId }),
      }
      if (Object.keys(body).length === 0) return
      const { body: answer, etag } = await app.api.whole('patch', '/api/v1/integrations/{id}', { path: { id: this.id }, body, ...this.held.version })
      this.held.put({ value: answer.data.integration, etag })
    })
  }

  /** Another key, beside the one that senders have. Raises ApiError. */
  async addKey(): Promise<void> {
    const { key } = await app.api.post('/api/v1/integrations/{id}/keys', { path: { id: this.id } })
    this.key = key.key
    await this.held.load()
  }

  async revoke(keyId: string): Promise<void> {
    await app.api.delete('/api/v1/integrations/{id}/keys/{keyId}', { path: { id: this.id, keyId } })
    await this.held.load()
  }

  async remove(): Promise<void> {
    await app.api.delete('/api/v1/integrations/{id}', { path: { id: this.id }, ...this.held.version })
  }
}

/** A command that sends an alert by a key. Nothing in it is read by a shell but what is quoted here. */
export function testCommand(key: string): string {
  return `pager alert send 'This is a test' --priority low --dedup-key app-test --routing-key '${/^[\w-]+$/.test(key) ? key : 'KEY'}'`
}

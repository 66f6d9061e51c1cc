/** The bridge to `PagerAlerts` (mobile/plugins/pager-alerts): what wakes somebody, and the key that never leaves. */

import { registerPlugin, type PluginListenerHandle } from '@capacitor/core'
import type { Jwk } from '../core/proofs'

export interface AlertHealth {
  notifications: 'granted' | 'denied' | 'prompt'
  /** May sound in silent mode and through a focus mode. */
  critical: 'granted' | 'denied' | 'unsupported'
  channel: 'ok' | 'muted' | 'unsupported'
  fullScreen: 'granted' | 'denied' | 'unsupported'
  batteryOptimised: boolean | null
  focusOn: boolean | null
}
export type Priority = 'critical' | 'high' | 'medium' | 'low'
export type SettingsPage = 'app' | 'notifications' | 'channel' | 'battery' | 'fullScreen'

export interface PagerAlertsPlugin {
  checkHealth(): Promise<AlertHealth>
  requestPermissions(): Promise<AlertHealth>
  /** Makes it where there is none; the private half stays in Keychain or Keystore. */
  createKey(): Promise<{ publicKey: Jwk }>
  /** ES256 (r and s) over base64url bytes. */
  sign(options: { data: string }): Promise<{ signature: string }>
  storeCredential(options: { credential: string; deviceId: string; server: string }): Promise<void>
  /** Key, credential, shown notifications and badge go. */
  wipe(): Promise<void>
  ring(options: { priority: Priority }): Promise<void>
  silence(): Promise<void>
  openSettings(options: { page: SettingsPage }): Promise<void>
  addListener(name: 'opened', listen: (event: { incidentId: string; pushedAt?: number }) => void): Promise<PluginListenerHandle>
  addListener(name: 'token', listen: (event: { token: string }) => void): Promise<PluginListenerHandle>
  addListener(name: 'acknowledged', listen: (event: { incidentId: string }) => void): Promise<PluginListenerHandle>
}

export const alerts: PagerAlertsPlugin = registerPlugin<PagerAlertsPlugin>('PagerAlerts', {
  web: () => import('./alerts.web').then((module) => new module.WebAlerts()),
})

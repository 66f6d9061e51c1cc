/** The bridge to `PagerAlerts` (mobile/plugins/pager-alerts): what wakes somebody, and the key that never leaves. */

import { registerPlugin, type PluginListenerHandle } from '@capacitor/core'

/** `unknown`: the phone does not tell; `notApplicable`: there is no such thing here. */
export type Answer = 'yes' | 'no' | 'unknown' | 'notApplicable'
/** `provisional` (iOS): shown without a sound, so that nobody is woken. */
export type Permission = 'granted' | 'denied' | 'prompt' | 'provisional'
export type Priority = 'critical' | 'high' | 'medium' | 'low'
export type SettingsPage = 'app' | 'notifications' | 'channel' | 'dnd' | 'fullScreenIntent' | 'battery' | 'sound'

export interface Health {
  platform: 'ios' | 'android' | 'web'
  notifications: Permission
  /** iOS: sounds in silent mode and through a focus mode. */
  criticalAlerts: Answer
  timeSensitive: Answer
  channelSound: Answer
  dndBypass: Answer
  fullScreenIntent: Answer
  batteryUnrestricted: Answer
  /** Something that holds ordinary notifications back is on. */
  focus: Answer
  /** It is above zero. */
  alarmVolume: Answer
  /** This build, or this browser, can be pushed to at all. */
  pushConfigured: Answer
  token: 'none' | 'unconfirmed' | 'confirmed'
  /** The acknowledgement without the app works. */
  canAcknowledge: boolean
  hardwareKey: Answer
  lastReceivedAt: string | null
  waiting: { acknowledgements: number; receipts: number }
  /** Seconds that this device is ahead of the gateway; null: not known. */
  clockAhead: number | null
}

export interface Credential {
  serverUrl: string
  deviceCredential: string
  deviceId: string
  userId: string
}

export interface PagerAlertsPlugin {
  checkHealth(): Promise<Health>
  requestPermissions(): Promise<Health>
  /** Where it is allowed: the token comes as `token`. */
  register(): Promise<void>
  /** The gateway knows it; until then it comes again at each start. */
  confirmToken(options: { token: string }): Promise<void>
  /** Makes it where there is none; the private half stays in Keychain or Keystore. */
  createKey(options?: { replace?: boolean }): Promise<{ jwk: { kty: 'EC'; crv: 'P-256'; x: string; y: string }; hardware: boolean }>
  /** ES256 (r and s, base64url) over the UTF-8 bytes of `input`. */
  sign(options: { input: string }): Promise<{ signature: string }>
  storeCredential(credential: Credential): Promise<void>
  /** Credential, token, what waits, and shown notifications go; `key`: that as well. */
  wipe(options?: { key?: boolean }): Promise<void>
  /** Until `silence`, for a minute at most unless `seconds` says otherwise. */
  ring(options: { priority: Priority; seconds?: number }): Promise<void>
  silence(): Promise<void>
  /** Notifications of an incident, or all of them, go. */
  clear(options?: { incidentId?: string }): Promise<void>
  openSettings(options: { which: SettingsPage }): Promise<void>
  addListener(name: 'token', listen: (event: { token: string }) => void): Promise<PluginListenerHandle>
  addListener(name: 'received', listen: (event: { incidentId: string; notificationId: string; kind: string }) => void): Promise<PluginListenerHandle>
  addListener(name: 'opened', listen: (event: { incidentId: string; notificationId: string | null; action: 'open' | 'callLead' }) => void): Promise<PluginListenerHandle>
  addListener(name: 'acknowledged', listen: (event: { incidentId: string; state: 'accepted' | 'queued' }) => void): Promise<PluginListenerHandle>
  /** `reason`: in the gateway's words. */
  addListener(name: 'refused', listen: (event: { incidentId: string; reason: string; code: string }) => void): Promise<PluginListenerHandle>
}

export const alerts: PagerAlertsPlugin = registerPlugin<PagerAlertsPlugin>('PagerAlerts', {
  web: () => import('./alerts.web').then((module) => new module.WebAlerts()),
})

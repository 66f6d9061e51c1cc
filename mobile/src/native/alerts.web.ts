/** What a browser can do of it: vibrate, beep, and say honestly that it cannot wake anybody through silence. */

import { WebPlugin } from '@capacitor/core'
import type { Answer, Health, PagerAlertsPlugin, Priority } from './alerts'

const PATTERNS: Record<Priority, number[]> = {
  critical: [600, 200, 600, 200, 600, 200],
  high: [400, 200, 400],
  medium: [200],
  low: [],
}
const RING_EVERY = 3_000
/** Seconds. */
const LONGEST_RING = 120

export class WebAlerts extends WebPlugin implements PagerAlertsPlugin {
  private timer: ReturnType<typeof setInterval> | null = null
  private sound: AudioContext | null = null

  async checkHealth(): Promise<Health> {
    const asked = typeof Notification === 'undefined' ? 'denied' : Notification.permission
    const none: Answer = 'notApplicable'
    return {
      platform: 'web',
      notifications: asked === 'default' ? 'prompt' : asked,
      ...{ criticalAlerts: none, timeSensitive: none, channelSound: none, dndBypass: none, fullScreenIntent: none },
      ...{ batteryUnrestricted: none, focus: 'unknown', alarmVolume: 'unknown', hardwareKey: none },
      pushConfigured: 'PushManager' in globalThis ? 'yes' : 'no',
      // Whether there is a subscription: `push.ts`.
      token: 'none',
      canAcknowledge: false,
      lastReceivedAt: null,
      waiting: { acknowledgements: 0, receipts: 0 },
      clockAhead: null,
    }
  }

  async requestPermissions(): Promise<Health> {
    if (typeof Notification !== 'undefined') await Notification.requestPermission()
    return this.checkHealth()
  }

  async register(): Promise<void> {}

  async confirmToken(): Promise<void> {}

  async clear(): Promise<void> {}

  createKey(): Promise<never> {
    throw this.unavailable('a browser has its cookie')
  }

  sign(): Promise<never> {
    throw this.unavailable('a browser has its cookie')
  }

  async storeCredential(): Promise<void> {}

  async wipe(): Promise<void> {
    await this.silence()
  }

  async ring({ priority, seconds = 60 }: { priority: Priority; seconds?: number }): Promise<void> {
    await this.silence()
    const once = () => {
      if (PATTERNS[priority].length > 0) navigator.vibrate?.(PATTERNS[priority])
      if (priority === 'critical' || priority === 'high') this.beep()
    }
    once()
    if (priority !== 'critical') return
    const end = Date.now() + Math.min(Math.max(seconds, 1), LONGEST_RING) * 1_000
    this.timer = setInterval(() => (Date.now() < end ? once() : void this.silence()), RING_EVERY)
  }

  async silence(): Promise<void> {
    if (this.timer !== null) clearInterval(this.timer)
    this.timer = null
    navigator.vibrate?.(0)
  }

  async openSettings(): Promise<void> {
    throw this.unavailable('the browser has its own settings')
  }

  /** Two tones; a page that nobody has touched yet may make none. */
  private beep(): void {
    try {
      this.sound ??= new AudioContext()
      const { sound } = this
      if (sound.state === 'suspended') {
        void sound.resume().catch(() => undefined)
        // The first touch of a page that came by itself lets what is still to ring be heard.
        for (const touch of ['pointerdown', 'keydown']) addEventListener(touch, () => void sound.resume().catch(() => undefined), { once: true })
      }
      for (const [index, pitch] of [880, 660].entries()) {
        const tone = sound.createOscillator()
        const volume = sound.createGain()
        const at = sound.currentTime + index * 0.25
        tone.frequency.value = pitch
        volume.gain.setValueAtTime(0.4, at)
        volume.gain.exponentialRampToValueAtTime(0.001, at + 0.24)
        tone.connect(volume).connect(sound.destination)
        tone.start(at)
        tone.stop(at + 0.25)
      }
    } catch {
      // No sound here.
    }
  }
}

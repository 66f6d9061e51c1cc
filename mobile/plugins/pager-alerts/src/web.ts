import { WebPlugin } from '@capacitor/core';

import type {
  Answer,
  Credential,
  Health,
  PagerAlertsPlugin,
  Permission,
  Priority,
  PublicKey,
  SettingsPage,
} from './definitions';

const DATABASE = 'pager-device-key';
const STORE = 'keys';
const KEY = 'device';
const LONGEST_RING = 120;
const USUAL_RING = 60;
/** Milliseconds on and off, as long as a second; the platform cuts what is longer. */
const VIBRATION: Record<Priority, number[]> = {
  critical: [600, 150, 600, 150],
  high: [400, 300, 400, 300],
  medium: [200, 1000],
  low: [],
};

/**
 * In a browser: the key is WebCrypto's and cannot be extracted, ringing is vibration, and what only a phone has is said
 * to be `notApplicable`. Web Push and its service worker are not here.
 */
export class PagerAlertsWeb extends WebPlugin implements PagerAlertsPlugin {
  private ringing: ReturnType<typeof setInterval> | undefined;
  private ends: ReturnType<typeof setTimeout> | undefined;

  async checkHealth(): Promise<Health> {
    const none: Answer = 'notApplicable';
    return {
      platform: 'web',
      notifications: permission(),
      criticalAlerts: none,
      timeSensitive: none,
      channelSound: none,
      dndBypass: none,
      fullScreenIntent: none,
      batteryUnrestricted: none,
      focus: 'unknown',
      alarmVolume: 'unknown',
      pushConfigured: 'PushManager' in globalThis ? 'yes' : 'no',
      token: 'none',
      canAcknowledge: false,
      hardwareKey: 'no',
      lastReceivedAt: null,
      waiting: { acknowledgements: 0, receipts: 0 },
      clockAhead: null,
    };
  }

  async requestPermissions(): Promise<Health> {
    if ('Notification' in globalThis && Notification.permission === 'default') {
      await Notification.requestPermission();
    }
    return this.checkHealth();
  }

  async register(): Promise<void> {}

  async confirmToken(_options: { token: string }): Promise<void> {}

  async createKey(options: { replace?: boolean } = {}): Promise<{ jwk: PublicKey; hardware: boolean }> {
    let pair = options.replace ? undefined : await read();
    if (pair === undefined) {
      pair = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
      await write(pair);
    }
    const { x, y } = await crypto.subtle.exportKey('jwk', pair.publicKey);
    if (x === undefined || y === undefined) {
      throw new Error('the browser gave no public key');
    }
    return { jwk: { kty: 'EC', crv: 'P-256', x, y }, hardware: false };
  }

  async sign({ input }: { input: string }): Promise<{ signature: string }> {
    const pair = await read();
    if (pair === undefined) {
      throw this.refusal('this device has no key: sign in', 'NO_KEY');
    }
    const bytes = new TextEncoder().encode(input);
    const signature = await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, pair.privateKey, bytes);
    return { signature: base64url(new Uint8Array(signature)) };
  }

  /** A browser has no ACK without the app: nothing is kept. */
  async storeCredential(_credential: Credential): Promise<void> {}

  async wipe(options: { key?: boolean } = {}): Promise<void> {
    await this.silence();
    if (options.key) {
      await write(undefined);
    }
  }

  async ring({ priority, seconds = USUAL_RING }: { priority: Priority; seconds?: number }): Promise<void> {
    await this.silence();
    const pattern = VIBRATION[priority] ?? VIBRATION.critical;
    const vibrate = () => {
      try {
        navigator.vibrate?.(pattern);
      } catch {
        // Some browsers refuse before the first touch: the screen is red all the same.
      }
    };
    if (pattern.length === 0) {
      return;
    }
    vibrate();
    this.ringing = setInterval(vibrate, 1_500);
    this.ends = setTimeout(() => void this.silence(), 1_000 * Math.min(Math.max(seconds, 1), LONGEST_RING));
  }

  async silence(): Promise<void> {
    clearInterval(this.ringing);
    clearTimeout(this.ends);
    if (this.ringing !== undefined) {
      try {
        navigator.vibrate?.(0);
      } catch {
        // Nothing vibrates where nothing may.
      }
    }
    this.ringing = this.ends = undefined;
  }

  async clear(_options?: { incidentId?: string }): Promise<void> {}

  async openSettings(_options: { which: SettingsPage }): Promise<void> {
    throw this.refusal('a browser does not open its settings for a page', 'UNSUPPORTED');
  }

  private refusal(message: string, code: string): Error {
    return Object.assign(new Error(message), { code });
  }
}

function permission(): Permission {
  if (!('Notification' in globalThis)) {
    return 'denied';
  }
  return Notification.permission === 'default' ? 'prompt' : Notification.permission;
}

function base64url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '');
}

async function database(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onsuccess = () => resolve(opening.result);
    opening.onerror = () => reject(opening.error ?? new Error('the key store cannot be opened'));
  });
}

async function read(): Promise<CryptoKeyPair | undefined> {
  const db = await database();
  try {
    return await new Promise((resolve, reject) => {
      const asked = db.transaction(STORE).objectStore(STORE).get(KEY);
      asked.onsuccess = () => resolve(asked.result as CryptoKeyPair | undefined);
      asked.onerror = () => reject(asked.error ?? new Error('the key cannot be read'));
    });
  } finally {
    db.close();
  }
}

/** Resolves when it is on the disk: a key that a sign-in names must not be lost after it. */
async function write(pair: CryptoKeyPair | undefined): Promise<void> {
  const db = await database();
  try {
    await new Promise<void>((resolve, reject) => {
      const writing = db.transaction(STORE, 'readwrite');
      const keys = writing.objectStore(STORE);
      if (pair === undefined) {
        keys.delete(KEY);
      } else {
        keys.put(pair, KEY);
      }
      writing.oncomplete = () => resolve();
      writing.onabort = writing.onerror = () => reject(writing.error ?? new Error('the key cannot be kept'));
    });
  } finally {
    db.close();
  }
}

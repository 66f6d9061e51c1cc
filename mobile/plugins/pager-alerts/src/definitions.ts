/**
 * What the app asks of the phone itself. Everything here works with the app in front; what is marked "without the app"
 * goes on natively while no WebView lives, also after the app was killed.
 *
 * No method takes or gives a private key. Times are RFC 3339 in UTC, by the phone's clock.
 */
import type { PluginListenerHandle } from '@capacitor/core';

/** `unknown`: the phone does not tell; `notApplicable`: this platform has no such thing. */
export type Answer = 'yes' | 'no' | 'unknown' | 'notApplicable';

/** `prompt`: nobody was asked yet; `provisional` (iOS): delivered without a sound, so nobody is woken. */
export type Permission = 'granted' | 'denied' | 'prompt' | 'provisional';

export type Priority = 'critical' | 'high' | 'medium' | 'low';

/** "Would you be woken?" */
export interface Health {
  platform: 'ios' | 'android' | 'web';
  /** May the app show notifications at all? */
  notifications: Permission;
  /** iOS: critical alerts, which sound in silent mode and through Focus; needs Apple's entitlement in the build. */
  criticalAlerts: Answer;
  /** iOS: time-sensitive notifications, which pass most Focus modes. */
  timeSensitive: Answer;
  /** Android: the critical channel is on, at high importance and with a sound; iOS: sounds are allowed. */
  channelSound: Answer;
  /** Android: the critical channel passes Do Not Disturb. */
  dndBypass: Answer;
  /** Android: the alert may cover the lock screen (Android 14 asks for it). */
  fullScreenIntent: Answer;
  /** Android: not held back by battery optimisation; iOS: `notApplicable`. */
  batteryUnrestricted: Answer;
  /** Whether Focus or Do Not Disturb is on now and would hold an ordinary page back. */
  focus: Answer;
  /** Android: the volume of alarms is above zero; `unknown` on iOS. */
  alarmVolume: Answer;
  /** This build can be pushed to at all (Android: a Firebase configuration is in it). */
  pushConfigured: Answer;
  /** A push token is here, and the server was told this one (`confirmToken`). */
  token: 'none' | 'unconfirmed' | 'confirmed';
  /** A device credential is stored: ACK works without the app. */
  canAcknowledge: boolean;
  /** The device key cannot be copied out of the phone's hardware. */
  hardwareKey: Answer;
  /** When the phone last received a page of ours; null: never since signing in. */
  lastReceivedAt: string | null;
  /** Acknowledgements and receipts that wait for the network. */
  waiting: { acknowledgements: number; receipts: number };
  /** Seconds by which the phone's clock is ahead of the server's, as last heard; null: not known. */
  clockAhead: number | null;
}

/** A public key as `deviceKey` of a sign-in takes it. */
export interface PublicKey {
  kty: 'EC';
  crv: 'P-256';
  /** 32 bytes, base64url. */
  x: string;
  /** 32 bytes, base64url. */
  y: string;
}

export interface Credential {
  /** Where the gateway is, e.g. `https://pager.example.org`: https, except on this machine. */
  serverUrl: string;
  /** `deviceCredential` of the sign-in. */
  deviceCredential: string;
  /** The `deviceId` that the sign-in named. */
  deviceId: string;
  /** Who has signed in. What still waits of another person is dropped. */
  userId: string;
}

/** Of a push about an incident (a test page is about none, and only opens the app), checked: `incidentId` and `notificationId` are UUIDs, texts are shortened and hold no markup. */
export interface Pushed {
  incidentId: string;
  notificationId: string;
  priority: Priority;
  /** `page`, or what silently replaces one: `acknowledged`, `resolved`, `withdrawn`. */
  kind: string;
  title: string;
  body: string;
  level: number | null;
}

export interface TokenEvent {
  /** For `pushToken` of `POST /devices` or of a sign-in. */
  token: string;
  platform: 'ios' | 'android';
}

export interface OpenedEvent {
  incidentId: string;
  notificationId: string | null;
  /** `callLead`: the person wants to call, as with the button of the critical screen. */
  action: 'open' | 'callLead';
}

export interface AcknowledgedEvent {
  incidentId: string;
  notificationId: string;
  /** `queued`: the server was not reached yet; it is tried on without the app. */
  state: 'accepted' | 'queued';
  at: string;
}

export interface RefusedEvent {
  incidentId: string;
  notificationId: string;
  /** In the server's words, e.g. "resolved by Bo Tester at 03:12 UTC"; shortened, no markup. */
  reason: string;
  /** `CONFLICT`, `NOT_FOUND`, `FORBIDDEN`, or `UNAUTHENTICATED`: then sign in again. */
  code: string;
  at: string;
}

/** What could be changed in the system's settings. */
export type SettingsPage = 'app' | 'notifications' | 'channel' | 'dnd' | 'fullScreenIntent' | 'battery' | 'sound';

export interface PagerAlertsPlugin {
  /** Reads the phone's settings; asks nobody. */
  checkHealth(): Promise<Health>;
  /** Asks for notifications (iOS: with critical alerts), makes the channels, then registers for pushes. */
  requestPermissions(): Promise<Health>;
  /**
   * Somebody is signed in whom pages on this phone are for: registers for pushes where permission was given; the token
   * comes as `token`. Call it at each start. Without it, or `storeCredential`, pages are shown without their text.
   */
  register(): Promise<void>;
  /** The server knows this token now. Until then it comes again as `token` at each start. */
  confirmToken(options: { token: string }): Promise<void>;

  /** The device's key, made where there is none. `replace`: a new one; the old one's credential is worth nothing then. */
  createKey(options?: { replace?: boolean }): Promise<{ jwk: PublicKey; hardware: boolean }>;
  /** ES256 (base64url of r and s, 64 bytes) over the UTF-8 bytes of `input`. Rejects with `NO_KEY` where there is none. */
  sign(options: { input: string }): Promise<{ signature: string }>;

  /** Keeps what ACK without the app needs. After each sign-in, and when the server's address changes. */
  storeCredential(credential: Credential): Promise<void>;
  /**
   * Signing out: forgets credential, token state, and what waits, takes all notifications away, stops ringing.
   * The key stays, so that this phone is known at the next sign-in; `key`: it goes as well.
   */
  wipe(options?: { key?: boolean }): Promise<void>;

  /** Sound and vibration of this priority until `silence`, `seconds` at most (1 to 120, 60 by default). */
  ring(options: { priority: Priority; seconds?: number }): Promise<void>;
  silence(): Promise<void>;
  /** It was answered or is over: takes its notifications away. Without an id: all. */
  clear(options?: { incidentId?: string }): Promise<void>;
  /** Rejects with `UNSUPPORTED` where this platform has no such page. */
  openSettings(options: { which: SettingsPage }): Promise<void>;

  /** Kept until somebody listens, as are all events but `received`, as long as the app's process lives. */
  addListener(event: 'token', listener: (event: TokenEvent) => void): Promise<PluginListenerHandle>;
  /**
   * A push came while the app is in front: show the red screen. A page rings already, until `silence` or `clear`: call
   * `ring` only for what the stream tells first.
   */
  addListener(event: 'received', listener: (event: Pushed) => void): Promise<PluginListenerHandle>;
  /** A notification, or one of its buttons that opens the app, was touched. */
  addListener(event: 'opened', listener: (event: OpenedEvent) => void): Promise<PluginListenerHandle>;
  addListener(event: 'acknowledged', listener: (event: AcknowledgedEvent) => void): Promise<PluginListenerHandle>;
  addListener(event: 'refused', listener: (event: RefusedEvent) => void): Promise<PluginListenerHandle>;
  removeAllListeners(): Promise<void>;
}

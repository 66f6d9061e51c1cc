/** What a phone brings to a sign-in: its key, and a place for the refresh token. */

import type { Phone } from '../core/auth'
import { base64url, fromBase64url, type DeviceSigner } from '../core/proofs'
import { alerts } from './alerts'
import { platform } from './platform'
import { secureStore } from './securestore'

const signer: DeviceSigner = {
  publicKey: async () => (await alerts.createKey()).publicKey,
  sign: async (bytes) => fromBase64url((await alerts.sign({ data: base64url(bytes) })).signature),
}

/** `server`: the gateway that the acknowledgement without the app is sent to. */
export function phone(server: () => string): Phone {
  return {
    platform: platform === 'ios' ? 'ios' : 'android',
    signer,
    store: secureStore,
    storeCredential: (credential, deviceId) => alerts.storeCredential({ credential, deviceId, server: server() }),
  }
}

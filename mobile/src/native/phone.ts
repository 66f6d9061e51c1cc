/** What a phone brings to a sign-in: its key, and a place for the refresh token. */

import type { Phone } from '../core/auth'
import { fromBase64url, type DeviceSigner } from '../core/proofs'
import { alerts } from './alerts'
import { platform } from './platform'
import { secureStore } from './securestore'

const signer: DeviceSigner = {
  publicKey: async () => (await alerts.createKey()).jwk,
  sign: async (text) => fromBase64url((await alerts.sign({ input: text })).signature),
}

/** `server`: the gateway that the acknowledgement without the app is sent to. */
export function phone(server: () => string): Phone {
  return {
    platform: platform === 'ios' ? 'ios' : 'android',
    signer,
    store: secureStore,
    storeCredential: (deviceCredential, deviceId, userId) =>
      alerts.storeCredential({ deviceCredential, deviceId, userId, serverUrl: server() }),
  }
}

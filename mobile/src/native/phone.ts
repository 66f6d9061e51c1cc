/** What a phone brings to a sign-in: its key, and a place for the refresh token. */

import type { Phone } from '../core/auth'
import { fromBase64url, type DeviceSigner } from '../core/proofs'
import { alerts } from './alerts'
import { platform } from './platform'
import { secureStore } from './securestore'

export const phoneSigner: DeviceSigner = {
  publicKey: async () => (await alerts.createKey()).jwk,
  sign: async (bytes) => fromBase64url((await alerts.sign({ input: new TextDecoder().decode(bytes) })).signature),
}

export function phone(): Phone {
  return { platform: platform === 'ios' ? 'ios' : 'android', store: secureStore }
}

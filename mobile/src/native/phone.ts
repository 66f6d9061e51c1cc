/** What a phone brings to a sign-in: its key, and a place for the refresh token. */

import type { Phone } from '../core/auth'
import { base64url, fromBase64url, type DeviceSigner } from '../core/proofs'
import { alerts } from './alerts'
import { platform } from './platform'
import { secureStore } from './securestore'

export const phoneSigner: DeviceSigner = {
  publicKey: async () => (await alerts.createKey()).publicKey,
  sign: async (bytes) => fromBase64url((await alerts.sign({ data: base64url(bytes) })).signature),
}

export function phone(): Phone {
  return { platform: platform === 'ios' ? 'ios' : 'android', store: secureStore }
}

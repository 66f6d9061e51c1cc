/** Proofs of a device's key (docs/adr/0061): a JWT, each good once. */

import type { Jwk } from './api'
import type { Clock } from './clock'

export type { Jwk } from './api'

/** A private key that nobody can read: in Keychain, in Android's Keystore, or a non-extractable one of WebCrypto. */
export interface DeviceSigner {
  /** The public half; made at the first call. null: none can be kept here. */
  publicKey(): Promise<Jwk | null>
  /** ES256 over these bytes: r and s, 64 bytes. */
  sign(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>
}

export function base64url(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return btoa(text).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
}

export function fromBase64url(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0))
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
}

/** A fresh proof, for what it is shown with; `request`: where, for `Pager-Proof`. */
export async function prove(
  signer: DeviceSigner,
  clock: Clock,
  shownWith: string,
  request?: { method: string; path: string },
): Promise<string> {
  return proveHash(signer, clock, base64url(await sha256(shownWith)), request)
}

/** The same, of what only its hash is known. */
export async function proveHash(
  signer: DeviceSigner,
  clock: Clock,
  ath: string,
  request?: { method: string; path: string },
): Promise<string> {
  const encode = (part: object) => base64url(new TextEncoder().encode(JSON.stringify(part)))
  const claims = {
    aud: 'pager',
    ath,
    jti: crypto.randomUUID(),
    iat: clock.seconds(),
    ...(request === undefined ? {} : { htm: request.method, htu: request.path }),
  }
  const signed = `${encode({ typ: 'pager-proof+jwt', alg: 'ES256' })}.${encode(claims)}`
  return `${signed}.${base64url(await signer.sign(new TextEncoder().encode(signed)))}`
}

/** S256 of a verifier (RFC 7636). */
export async function challengeOf(verifier: string): Promise<string> {
  return base64url(await sha256(verifier))
}

/**
 * A browser's key, which WebCrypto keeps so that no script can read it, and what it opens without a session: whoever is
 * paged answers from a notification, also when the browser was idle for long (docs/adr/0061). Pages and the service
 * worker share both.
 */

import type { Jwk } from './api'
import type { Clock } from './clock'
import type { Database } from './db'
import { type DeviceSigner, prove } from './proofs'

const NAME = 'device'
const CREDENTIAL = 'deviceCredential'
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

interface Credential {
  credential: string
  deviceId: string
}

/** null: this browser has no WebCrypto here, as where a page came without TLS from another machine. */
export function browserSigner(db: Database): DeviceSigner | null {
  const subtle = (globalThis.crypto as Partial<Crypto>).subtle
  if (subtle === undefined) return null
  return {
    async publicKey() {
      try {
        let pair = await db.key(NAME)
        if (pair === null) {
          pair = await subtle.generateKey(ALGORITHM, false, ['sign', 'verify'])
          await db.putKey(NAME, pair)
        }
        const { kty, crv, x, y } = await subtle.exportKey('jwk', pair.publicKey)
        return { kty, crv, x, y } as Jwk
      } catch {
        return null // a private window may keep no keys
      }
    },
    async sign(bytes) {
      const pair = await db.key(NAME)
      if (pair === null) throw new Error('the key is gone')
      return new Uint8Array(await subtle.sign(ALGORITHM, pair.privateKey, bytes))
    },
  }
}

export async function keepCredential(db: Database, credential: string, deviceId: string): Promise<void> {
  await db.set(CREDENTIAL, { credential, deviceId } satisfies Credential)
}

/** It is good no longer, as after a changed password. */
export async function forgetCredential(db: Database): Promise<void> {
  await db.set(CREDENTIAL, null)
}

/** Whether a page is answered here also while nobody is signed in. */
export async function hasCredential(db: Database): Promise<boolean> {
  return (await db.setting<Credential>(CREDENTIAL)) !== null && (await db.key(NAME)) !== null
}

/**
 * Ask one of the three doors that a device's credential opens: acknowledge, receipts, `GET /incidents?status=created`.
 * null: nobody has signed in here with a key. Raises what `fetch` raises.
 */
export async function askAsDevice(
  db: Database,
  clock: Clock,
  method: 'GET' | 'POST',
  path: string,
  { body, idempotencyKey, send = fetch }: { body?: unknown; idempotencyKey?: string; send?: typeof fetch } = {},
): Promise<Response | null> {
  const kept = await db.setting<Credential>(CREDENTIAL)
  const signer = browserSigner(db)
  if (kept === null || signer === null || (await db.key(NAME)) === null) return null
  const [bare = path] = path.split('?')
  const headers: Record<string, string> = {
    Authorization: `Bearer ${kept.credential}`,
    // A fresh one for each try.
    'Pager-Proof': await prove(signer, clock, kept.credential, { method, path: bare }),
    ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    ...(idempotencyKey === undefined ? {} : { 'Idempotency-Key': idempotencyKey }),
  }
  return send(path, { method, headers, ...(body === undefined ? {} : { body: JSON.stringify(body) }) })
}

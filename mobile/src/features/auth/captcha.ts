/** A captcha of the gateway: a proof of work as ALTCHA defines it (PBKDF2/SHA-256), on WebCrypto. */

import type { Schemas } from '../../core/api'

interface Parameters {
  algorithm: string
  nonce: string
  salt: string
  cost: number
  keyLength: number
  keyPrefix: string
}

const MOST_TRIES = 1_000_000
const MOST_ROUNDS = 1_000_000

/** What is sent as `captcha`. Raises Error where it cannot be solved here. */
export async function solve(challenge: Schemas['CaptchaChallenge']): Promise<string> {
  const given = challenge.parameters as unknown as Parameters
  if (given.algorithm !== 'PBKDF2/SHA-256' || !(given.cost >= 1 && given.cost <= MOST_ROUNDS)) {
    throw new Error('this captcha is unknown')
  }
  const nonce = bytesOf(given.nonce)
  const salt = bytesOf(given.salt)
  const startedAt = performance.now()
  for (let counter = 0; counter < MOST_TRIES; counter += 1) {
    const password = new Uint8Array(nonce.length + 4)
    password.set(nonce)
    new DataView(password.buffer).setUint32(nonce.length, counter)
    const key = await crypto.subtle.importKey('raw', password, 'PBKDF2', false, ['deriveBits'])
    const derivation = { name: 'PBKDF2', hash: 'SHA-256', salt, iterations: given.cost }
    const derived = hexOf(new Uint8Array(await crypto.subtle.deriveBits(derivation, key, given.keyLength * 8)))
    if (derived.startsWith(given.keyPrefix.toLowerCase())) {
      const time = Math.round(performance.now() - startedAt)
      return btoa(JSON.stringify({ challenge, solution: { counter, derivedKey: derived, time } }))
    }
  }
  throw new Error('this captcha has no solution')
}

function bytesOf(hex: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

function hexOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
}

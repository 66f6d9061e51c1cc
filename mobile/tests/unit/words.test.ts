import { describe, expect, it } from 'vitest'
import { ageText, speak, t, timeText, tn, type MessageName } from '../../src/core/i18n'
import { StorageFull } from '../../src/core/db'
import { ApiError } from '../../src/core/errors'
import { applyTheme, chosenTheme, chooseTheme } from '../../src/core/theme'
import { errorText } from '../../src/core/words'
import { serverAddress } from '../../src/features/auth/store.svelte'
import { solve } from '../../src/features/auth/captcha'
import { en } from '../../src/messages/en'
import { START } from './tools'

describe('texts', () => {
  it('take values as they are', () => {
    expect(t('auth.replaceButton', { name: '<b>{x}</b>' })).toBe('Replace <b>{x}</b>')
    expect(t('auth.replaceButton')).toBe('Replace {name}')
    expect([tn('offline.waiting', 1), tn('offline.waiting', 2)]).toEqual(['1 action waits to be sent.', '2 actions wait to be sent.'])
  })

  it('of what a newer gateway alone knows are as it is called', () => {
    expect([t('state.on_hold' as MessageName), t('priority.urgent' as MessageName)]).toEqual(['On hold', 'Urgent'])
  })

  it('can be another language’s', () => {
    speak('de', { ...en, 'nav.settings': 'Einstellungen', 'age.day.other': 'vor {count} Tagen' })
    expect(t('nav.settings')).toBe('Einstellungen')
    expect(ageText(new Date(START - 86_400_000 * 1_234).toISOString(), START)).toBe('vor 1.234 Tagen')
    speak('en', en)
  })

  it('ages are never in the future, and days are named where they are others', () => {
    const at = (before: number) => new Date(START - before).toISOString()
    expect(ageText(at(-60_000), START)).toBe('now')
    expect(ageText(at(3_600_000 * 2), START)).toBe('2 hr. ago')
    expect(ageText(at(86_400_000), START)).toBe('yesterday')
    expect(ageText(at(86_400_000 * 3), START)).toBe('3 days ago')
    expect(ageText(at(86_400_000 * 1_234), START)).toBe('1,234 days ago')
    expect(timeText(at(0), START)).toMatch(/^\d\d:\d\d$/)
    expect(timeText(at(86_400_000 * 3), START)).toMatch(/Feb/)
  })

  it('errors are said so that somebody understands them', () => {
    expect(errorText(new ApiError(0, 'NETWORK', 'x'))).toBe('Pager cannot be reached.')
    expect(errorText(new ApiError(400, 'VALIDATION_ERROR', 'm', { reason: 'must be short' }))).toBe('must be short')
    expect(errorText(new ApiError(400, 'VALIDATION_ERROR', 'm'))).toBe('m')
    expect(errorText(new StorageFull())).toContain('no room')
    expect(errorText('x')).toBe('That did not work')
  })
})

describe('the theme', () => {
  it('is the device’s until somebody chooses, and never fails', () => {
    expect(chosenTheme()).toBe('system')
    chooseTheme('light')
    expect([chosenTheme(), document.documentElement.dataset['theme']]).toEqual(['light', 'light'])
    chooseTheme('system')
    applyTheme()
    expect(document.documentElement.dataset['theme']).toBeUndefined()
    const kept = Object.getOwnPropertyDescriptor(window, 'localStorage')
    Object.defineProperty(globalThis, 'localStorage', { configurable: true, get: () => { throw new Error('forbidden') } })
    chooseTheme('dark')
    expect([chosenTheme(), document.documentElement.dataset['theme']]).toEqual(['system', 'dark'])
    if (kept) Object.defineProperty(globalThis, 'localStorage', kept)
  })
})

describe('signing in', () => {
  it.each([
    ['pager.test', 'https://pager.test'],
    [' https://pager.test/app/ ', 'https://pager.test'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['http://pager.test', null],
    ['ftp://pager.test', null],
    ['https://a:b@pager.test', null],
    ['', null],
  ])('%s is the server %s', (text, address) => expect(serverAddress(text)).toBe(address))

  it('solves a captcha as its library makes it', async () => {
    const parameters = { algorithm: 'PBKDF2/SHA-256', cost: 2, keyLength: 32, keyPrefix: '0', nonce: '37e51dc0', salt: 'de11600a', expiresAt: 1 }
    const solved = JSON.parse(atob(await solve({ parameters, signature: 's' })))
    expect(solved.challenge).toEqual({ parameters, signature: 's' })
    expect(solved.solution.derivedKey).toMatch(/^0[0-9a-f]{63}$/)
    await expect(solve({ parameters: { ...parameters, algorithm: 'x' }, signature: 's' })).rejects.toThrow()
    await expect(solve({ parameters: { ...parameters, cost: 1e9 }, signature: 's' })).rejects.toThrow()
  })
})

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

const phone = vi.hoisted(() => ({ platform: 'web', kept: new Map<string, string>(), ok: true, heard: new Map<string, (event: unknown) => unknown>() }))
const listen = async (name: string, told: (event: unknown) => unknown) => void phone.heard.set(name, told)
const calls = vi.hoisted(() => ({ impact: vi.fn(), minimizeApp: vi.fn(), sign: vi.fn(), storeCredential: vi.fn() }))

vi.mock('@capacitor/core', async (original) => {
  const real = await original<typeof import('@capacitor/core')>()
  return {
    ...real,
    Capacitor: { ...real.Capacitor, getPlatform: () => phone.platform },
    registerPlugin: (_name: string, made: { web: () => Promise<object> }) =>
      phone.platform === 'web'
        ? new Proxy({}, { get: (_all, name: string) => async (...given: unknown[]) => ((await made.web()) as Record<string, (...all: unknown[]) => unknown>)[name]!(...given) })
        : {
            createKey: async () => ({ jwk: { kty: 'EC', crv: 'P-256', x: 'x', y: 'y' } }),
            sign: calls.sign.mockResolvedValue({ signature: 'AQI' }),
            storeCredential: calls.storeCredential,
            requestPermissions: async () => ({ notifications: phone.ok ? 'granted' : 'denied' }),
            addListener: listen,
          },
  }
})
vi.mock('@capacitor/haptics', () => ({
  ImpactStyle: { Light: 'LIGHT', Heavy: 'HEAVY' },
  Haptics: { impact: calls.impact },
}))
vi.mock('@capacitor/app', () => ({
  App: { addListener: listen, getLaunchUrl: async () => (phone.ok ? { url: 'pager://incidents/i1' } : undefined), minimizeApp: calls.minimizeApp },
}))
vi.mock('@aparajita/capacitor-secure-storage', () => ({
  KeychainAccess: { afterFirstUnlockThisDeviceOnly: 2 },
  SecureStorage: {
    get: async (name: string) => phone.kept.get(name) ?? null,
    set: async (name: string, value: string) => void phone.kept.set(name, value),
    remove: async (name: string) => phone.kept.delete(name),
  },
}))
vi.mock('@aparajita/capacitor-biometric-auth', () => ({
  BiometricAuth: {
    checkBiometry: async () => ({ isAvailable: false, deviceIsSecure: true }),
    authenticate: async () => {
      if (!phone.ok) throw new Error('no')
    },
  },
}))

beforeEach(() => {
  vi.resetModules()
  vi.clearAllMocks()
  phone.ok = true
  phone.heard.clear()
  phone.platform = 'web'
})
afterEach(() => vi.unstubAllGlobals())

describe('a browser', () => {
  it('keeps no secret, has no lock and no links', async () => {
    const { secureStore } = await import('../../src/native/securestore')
    await secureStore.set('a', 'b')
    await secureStore.remove('a')
    expect(await secureStore.get('a')).toBeNull()
    expect(phone.kept.size).toBe(0)
    const { canLock, unlock } = await import('../../src/native/biometrics')
    expect([await canLock(), await unlock('x')]).toEqual([false, true])
    const { listenForLinks } = await import('../../src/native/deeplinks')
    await listenForLinks({ link: vi.fn(), back: vi.fn(), resumed: vi.fn() })
    await (await import('../../src/native/push')).listenForToken(vi.fn())
    expect(phone.heard.size).toBe(0)
  })

  it('vibrates where it can', async () => {
    const vibrate = vi.fn()
    vi.stubGlobal('navigator', { vibrate })
    const { tap } = await import('../../src/native/haptics')
    await tap()
    await tap('heavy')
    expect(vibrate.mock.calls).toEqual([[15], [40]])
  })

  it('rings until it is silenced, also without any sound', async () => {
    vi.useFakeTimers()
    const vibrate = vi.fn()
    vi.stubGlobal('navigator', { vibrate })
    const { WebAlerts } = await import('../../src/native/alerts.web')
    const web = new WebAlerts()
    await web.ring({ priority: 'critical' })
    await vi.advanceTimersByTimeAsync(3_000)
    expect(vibrate.mock.calls.filter(([pattern]) => Array.isArray(pattern))).toHaveLength(2)
    await web.wipe()
    await vi.advanceTimersByTimeAsync(9_000)
    await web.ring({ priority: 'low' })
    expect(vibrate.mock.calls.filter(([pattern]) => Array.isArray(pattern))).toHaveLength(2)
    vi.useRealTimers()
  })

  it('makes two tones', async () => {
    const start = vi.fn()
    class Sound {
      state = 'suspended'
      currentTime = 0
      resume = vi.fn(async () => undefined)
      destination = {}
      createOscillator = () => ({ frequency: {}, connect: (next: unknown) => next, start, stop: vi.fn() })
      createGain = () => ({ gain: { setValueAtTime: vi.fn(), exponentialRampToValueAtTime: vi.fn() }, connect: vi.fn() })
    }
    vi.stubGlobal('AudioContext', Sound)
    const { WebAlerts } = await import('../../src/native/alerts.web')
    await new WebAlerts().ring({ priority: 'high' })
    expect(start).toHaveBeenCalledTimes(2)
  })

  it('says what it cannot do', async () => {
    const { alerts } = await import('../../src/native/alerts')
    expect(await alerts.checkHealth()).toMatchObject({ notifications: 'denied', criticalAlerts: 'notApplicable', pushConfigured: 'no' })
    await alerts.storeCredential({ deviceCredential: 'c', deviceId: 'd', userId: 'u', serverUrl: 's' })
    for (const what of ['register', 'confirmToken', 'clear'] as const) await alerts[what]({} as never)
    for (const what of ['createKey', 'sign', 'openSettings'] as const) await expect(alerts[what]({} as never)).rejects.toThrow()
    const requestPermission = vi.fn()
    vi.stubGlobal('Notification', { permission: 'default', requestPermission })
    const { askForPush } = await import('../../src/native/push')
    expect(await askForPush()).toBe(false)
    expect(requestPermission).toHaveBeenCalledOnce()
    expect((await alerts.checkHealth()).notifications).toBe('prompt')
    vi.stubGlobal('Notification', { permission: 'granted', requestPermission })
    expect(await askForPush()).toBe(true)
  })

  it('subscribes once, and anew where it was done with another key', async () => {
    const made = { endpoint: 'https://push.test/1', options: { applicationServerKey: new Uint8Array([1, 2, 251]).buffer }, unsubscribe: vi.fn() }
    const shown = { ...made, toJSON: () => ({ endpoint: made.endpoint }) }
    let kept: unknown = null
    const subscribeTo = vi.fn(async () => (kept = shown))
    const worker = { pushManager: { getSubscription: async () => kept, subscribe: subscribeTo } }
    const push = await import('../../src/native/push')
    expect([await push.webPush(), await push.subscription(), await push.subscribe('k')]).toEqual(['unsupported', null, null])
    await push.unsubscribe()
    vi.stubGlobal('navigator', { serviceWorker: { getRegistration: async () => worker } })
    expect(await push.webPush()).toBe('unsupported')
    vi.stubGlobal('Notification', { permission: 'granted' })
    expect([await push.webPush(), await push.subscription()]).toEqual(['off', null])
    expect(await push.subscribe('AQL7')).toBe('{"endpoint":"https://push.test/1"}')
    expect([await push.webPush(), await push.subscription()]).toEqual(['on', '{"endpoint":"https://push.test/1"}'])
    await push.subscribe('AQL7')
    expect(subscribeTo).toHaveBeenCalledOnce()
    await push.subscribe('AQL-')
    expect([subscribeTo.mock.calls.length, made.unsubscribe.mock.calls.length]).toEqual([2, 1])
    await push.unsubscribe()
    expect(made.unsubscribe).toHaveBeenCalledTimes(2)
    expect(push.isMadeWith({} as never, 'AQ')).toBe(true)
    kept = null
    subscribeTo.mockRejectedValue(new Error('denied'))
    await expect(push.subscribe('AQL7')).rejects.toThrow('denied')
    vi.stubGlobal('Notification', { permission: 'denied' })
    expect(await push.webPush()).toBe('denied')
  })
})

describe('a phone', () => {
  beforeEach(() => {
    phone.platform = 'ios'
  })

  it('signs with its key and keeps its token', async () => {
    const { phone: aPhone, phoneSigner } = await import('../../src/native/phone')
    const made = aPhone()
    expect(made.platform).toBe('ios')
    expect((await phoneSigner.publicKey())?.crv).toBe('P-256')
    expect(await phoneSigner.sign(new TextEncoder().encode('signed'))).toEqual(new Uint8Array([1, 2]))
    expect(calls.sign).toHaveBeenCalledWith({ input: 'signed' })
    await made.store.set('refresh', 'r')
    expect(await made.store.get('refresh')).toBe('r')
    await made.store.remove('refresh')
    expect(await made.store.get('refresh')).toBeNull()
  })

  it('opens links, goes back and is left', async () => {
    const { listenForLinks } = await import('../../src/native/deeplinks')
    const link = vi.fn()
    const back = vi.fn(() => true)
    const resumed = vi.fn()
    await listenForLinks({ link, back, resumed })
    expect(link).toHaveBeenCalledWith('pager://incidents/i1')
    phone.heard.get('appUrlOpen')?.({ url: 'pager://x' })
    phone.heard.get('backButton')?.({})
    expect(calls.minimizeApp).not.toHaveBeenCalled()
    back.mockReturnValue(false)
    phone.heard.get('backButton')?.({})
    expect(calls.minimizeApp).toHaveBeenCalledOnce()
    phone.heard.get('appStateChange')?.({ isActive: true })
    phone.heard.get('appStateChange')?.({ isActive: false })
    expect(resumed).toHaveBeenCalledOnce()
    phone.ok = false
    await listenForLinks({ link: vi.fn(), back, resumed })
  })

  it('tells its token, asks for permission and is unlocked by its owner', async () => {
    const { askForPush, listenForToken } = await import('../../src/native/push')
    const told = vi.fn()
    await listenForToken(told)
    phone.heard.get('token')?.({ token: 't2' })
    expect(told.mock.calls).toEqual([['t2']])
    expect(await askForPush()).toBe(true)
    const { canLock, unlock } = await import('../../src/native/biometrics')
    expect([await canLock(), await unlock('x')]).toEqual([true, true])
    phone.ok = false
    expect(await unlock('x')).toBe(false)
    expect(await askForPush()).toBe(false)
  })

  it('a tap that fails is none', async () => {
    const { tap } = await import('../../src/native/haptics')
    await tap()
    calls.impact.mockRejectedValue(new Error('none'))
    await tap('heavy')
    expect(calls.impact.mock.calls).toEqual([[{ style: 'LIGHT' }], [{ style: 'HEAVY' }]])
  })
})

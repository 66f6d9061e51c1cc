import { isPhone } from './platform'

/** What a person recognises this device by, until they know better. Also in a service worker. */
export function deviceName(agent = navigator.userAgent): string {
  if (/iPhone|iPad/.test(agent)) return isPhone ? 'iPhone' : 'Safari on iPhone'
  if (isPhone) return 'Android phone'
  const browser = /Edg\//.test(agent) ? 'Edge' : /Firefox\//.test(agent) ? 'Firefox' : /Chrome\//.test(agent) ? 'Chrome' : 'Browser'
  const system = /Android/.test(agent) ? 'Android' : /Mac OS/.test(agent) ? 'macOS' : /Windows/.test(agent) ? 'Windows' : 'Linux'
  return `${browser} on ${system}`
}

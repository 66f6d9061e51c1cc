/** Addresses of screens: `/app/incidents/7f…` in a browser, `pager://incidents/7f…` and https links on a phone. */

import type { Component } from 'svelte'

export interface Route {
  /** `/incidents/:id` */
  path: string
  /** Its screen gets `params`, and may do without. */
  load: () => Promise<{ default: Component<any> }>
  /** Without the navigation, such as the red screen. */
  isFull?: boolean
  /** Also for whoever is not signed in. */
  isOpen?: boolean
  roles?: readonly ('user' | 'lead' | 'admin')[]
}

/** The names of a path's parts, or null where it is another one. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const wanted = pattern.split('/').filter(Boolean)
  const given = path.split('/').filter(Boolean)
  if (wanted.length !== given.length) return null
  const params: Record<string, string> = {}
  for (const [index, part] of wanted.entries()) {
    const value = given[index] ?? ''
    if (part.startsWith(':')) {
      try {
        params[part.slice(1)] = decodeURIComponent(value)
      } catch {
        return null
      }
    } else if (part !== value) return null
  }
  return params
}

/** The red screen of an incident, for whoever was paged; `call`: they have touched "call lead" already. */
export function alertPath(incidentId: string, { call = false } = {}): string {
  return `/incidents/${encodeURIComponent(incidentId)}/alert?via=push${call ? '&call=lead' : ''}`
}

/** The screen that a link means, as a path under the app; null: it is none of ours. `server`: the gateway's address. */
export function pathOf(link: string, server: string): string | null {
  if (link.length > 2_000) return null
  let url: URL
  try {
    url = new URL(link)
  } catch {
    return null
  }
  if (url.protocol === 'pager:') {
    // Engines differ in what they take for the host of an unknown scheme.
    const path = link.slice('pager:'.length).replace(/^\/+/, '').split(/[?#]/)[0] ?? ''
    return `/${path}${url.search}${url.hash}`
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return null
  if (server !== '' && url.origin !== new URL(server).origin) return null
  if (url.pathname !== '/app' && !url.pathname.startsWith('/app/')) return null
  return `${url.pathname.slice('/app'.length) || '/'}${url.search}${url.hash}`
}

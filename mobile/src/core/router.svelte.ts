import { match, type Route } from './routes'

export { match, pathOf, type Route } from './routes'

interface Place {
  route: Route
  params: Record<string, string>
}

/** Which screen is shown; the history is the browser's. */
export class Router {
  path = $state('/')
  query = $state(new URLSearchParams())
  readonly place: Place | null = $derived.by(() => this.find(this.path))
  private depth = 0

  /** `base`: `/app` where the gateway serves it, '' on a phone. */
  constructor(
    private readonly routes: readonly Route[],
    private readonly base: string,
    private readonly home = '/incidents',
  ) {
    this.read()
    addEventListener('popstate', () => {
      this.depth = Math.max(0, this.depth - 1)
      this.read()
    })
  }

  find(path: string): Place | null {
    for (const route of this.routes) {
      const params = match(route.path, path)
      if (params !== null) return { route, params }
    }
    return null
  }

  /** The address of a path, for an `href`. */
  href(path: string): string {
    return `${this.base}${path}`
  }

  go(path: string, { replace = false } = {}): void {
    if (replace) history.replaceState(history.state, '', this.href(path))
    else {
      history.pushState(null, '', this.href(path))
      this.depth += 1
    }
    this.read()
    scrollTo?.(0, 0)
  }

  /** Where somebody came from inside of the app, or its first screen: never out of it. */
  back(to = this.home): void {
    if (this.depth > 0) history.back()
    else this.go(to, { replace: true })
  }

  /** Whether the phone's back button leaves the app here. */
  get isAtHome(): boolean {
    return this.depth === 0 && this.path === this.home
  }

  /** For `onclick` of the whole app: a plain click on a link of ours is a screen, everything else the browser's. */
  readonly clicked = (event: MouseEvent): void => {
    if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return
    const link = (event.target as Element | null)?.closest?.('a')
    if (!link || link.target !== '' || link.hasAttribute('download') || link.origin !== location.origin) return
    if (!link.pathname.startsWith(`${this.base}/`)) return
    event.preventDefault()
    this.go(link.pathname.slice(this.base.length) + link.search + link.hash)
  }

  private read(): void {
    const { pathname, search } = location
    const inside = this.base === '' || pathname === this.base || pathname.startsWith(`${this.base}/`)
    const path = inside ? pathname.slice(this.base.length) : '/'
    this.query = new URLSearchParams(search)
    this.path = path === '' || path === '/' || path === '/index.html' ? this.home : path.replace(/(.)\/$/, '$1')
  }
}

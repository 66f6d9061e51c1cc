import { app } from '../core/app.svelte'
import { whenIdle } from '../core/idle'
import { router } from '../core/navigation'
import { isPhone } from '../native/platform'

/** On the web only: a phone has its files with it. What it fetches for the next start must not delay this one. */
export function registerWorker(): void {
  const workers = (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker
  if (isPhone || workers === undefined || !import.meta.env.PROD) return
  workers.addEventListener('message', ({ data }) => {
    const said = data as { type?: unknown; path?: unknown } | null
    if (said?.type === 'sync') app.hurry()
    if (said?.type === 'open' && typeof said.path === 'string' && router.find(said.path.split('?')[0] ?? '') !== null) router.go(said.path)
  })
  whenIdle(() => {
    // No network at the first start, or a browser that does not want it: the app works without.
    workers.register(`${import.meta.env.BASE_URL}sw.js`, { scope: import.meta.env.BASE_URL }).catch(() => undefined)
    // A device that is short of room forgets other pages first.
    void navigator.storage?.persist?.()
  })
}

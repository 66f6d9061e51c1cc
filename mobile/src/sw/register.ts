import { isPhone } from '../native/platform'

/** On the web only: a phone has its files with it. */
export async function registerWorker(): Promise<void> {
  const workers = (navigator as { serviceWorker?: ServiceWorkerContainer }).serviceWorker
  if (isPhone || workers === undefined || !import.meta.env.PROD) return
  try {
    await workers.register(`${import.meta.env.BASE_URL}sw.js`, { scope: import.meta.env.BASE_URL })
    const { app } = await import('../core/app.svelte')
    const { router } = await import('../core/navigation')
    workers.addEventListener('message', ({ data }) => {
      const said = data as { type?: unknown; path?: unknown } | null
      if (said?.type === 'sync') app.hurry()
      if (said?.type === 'open' && typeof said.path === 'string' && router.find(said.path.split('?')[0] ?? '') !== null) router.go(said.path)
    })
    // A device that is short of room forgets other pages first.
    void navigator.storage?.persist?.()
  } catch {
    // No network at the first start, or a browser that does not want it: the app works without.
  }
}

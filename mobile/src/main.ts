import './core/theme.css'
import { mount, unmount } from 'svelte'
import App from './App.svelte'
import Failed from './Failed.svelte'
import { app } from './core/app.svelte'
import { router, toSignIn } from './core/navigation'
import { applyTheme } from './core/theme'
import { registerWorker } from './sw/register'

/** The screen is drawn while the database opens, and not after it. */
async function begin(target: HTMLElement): Promise<void> {
  applyTheme()
  app.reports.listen(window)
  if (app.isLikelyOut && router.place?.route.isOpen !== true) toSignIn()
  // Where it cannot be fetched, the screen says so when it is due.
  const screen = router.place?.route.load().catch(() => undefined)
  const shown = mount(App, { target })
  try {
    await app.start()
    await screen
    // What somebody waited for, from the tap on the icon: drawn with the next frame.
    requestAnimationFrame(() => app.reports.timing('start', performance.now()))
    registerWorker()
  } catch (error) {
    await unmount(shown)
    mount(Failed, { target, props: { error } })
  }
}

const target = document.getElementById('app')
if (target === null) throw new Error('index.html has no place for the app')
void begin(target)

import './core/theme.css'
import { mount } from 'svelte'
import App from './App.svelte'
import Failed from './Failed.svelte'
import { app } from './core/app.svelte'
import { router } from './core/navigation'
import { applyTheme } from './core/theme'
import { registerWorker } from './sw/register'

applyTheme()
const target = document.getElementById('app')
if (target === null) throw new Error('index.html has no place for the app')

app.reports.listen(window)
// What the address wants is fetched while the database opens; where that fails, the screen says so when it is due.
void router.place?.route.load().catch(() => undefined)
try {
  await app.start()
  mount(App, { target })
  // What somebody waited for, from the tap on the icon: drawn with the next frame.
  requestAnimationFrame(() => app.reports.timing('start', performance.now()))
  void registerWorker()
} catch (error) {
  mount(Failed, { target, props: { error } })
}

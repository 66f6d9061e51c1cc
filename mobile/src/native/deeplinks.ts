/** Links that open the app (`pager://…`, App Links, Universal Links), and Android's back button. */

import { isPhone } from './platform'

export interface Opened {
  link: (url: string) => void
  /** True: the app has gone back; false: it is to be left. */
  back: () => boolean
  /** In front again. */
  resumed: () => void
}

export async function listenForLinks(opened: Opened): Promise<void> {
  if (!isPhone) return
  const { App } = await import('@capacitor/app')
  await App.addListener('appUrlOpen', ({ url }) => opened.link(url))
  await App.addListener('backButton', () => {
    if (!opened.back()) void App.minimizeApp()
  })
  await App.addListener('appStateChange', ({ isActive }) => {
    if (isActive) opened.resumed()
  })
  const launch = await App.getLaunchUrl()
  if (launch !== undefined) opened.link(launch.url)
}

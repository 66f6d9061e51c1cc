import { Capacitor } from '@capacitor/core'

export const platform = Capacitor.getPlatform() as 'ios' | 'android' | 'web'
/** The app in its own shell; otherwise a browser shows it. */
export const isPhone = platform !== 'web'

import type { CapacitorConfig } from '@capacitor/cli'

const config: CapacitorConfig = {
  appId: 'dev.pager.app',
  appName: 'Pager',
  // `npm run sync` builds it there: for a phone the app is at /, for the gateway at /app.
  webDir: 'dist',
  ios: { scheme: 'pager', contentInset: 'always' },
  android: { allowMixedContent: false },
  server: { androidScheme: 'https' },
  plugins: { PushNotifications: { presentationOptions: ['badge', 'sound', 'alert'] } },
}

export default config

/** A short answer to a finger. Never the reason why something else does not happen. */

import { isPhone } from './platform'

export async function tap(strength: 'light' | 'heavy' = 'light'): Promise<void> {
  try {
    if (!isPhone) {
      navigator.vibrate?.(strength === 'light' ? 15 : 40)
      return
    }
    const { Haptics, ImpactStyle } = await import('@capacitor/haptics')
    await Haptics.impact({ style: strength === 'light' ? ImpactStyle.Light : ImpactStyle.Heavy })
  } catch {
    // A device without it.
  }
}

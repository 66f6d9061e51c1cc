/** Dark or light: as the device has it, or as somebody has chosen. Known before the database is, so that nothing blinks. */

export type Theme = 'system' | 'dark' | 'light'
const NAME = 'pager-theme'

export function chosenTheme(): Theme {
  try {
    const kept = localStorage.getItem(NAME)
    return kept === 'dark' || kept === 'light' ? kept : 'system'
  } catch {
    return 'system'
  }
}

export function chooseTheme(theme: Theme): void {
  try {
    if (theme === 'system') localStorage.removeItem(NAME)
    else localStorage.setItem(NAME, theme)
  } catch {
    // Not kept, and still shown.
  }
  applyTheme(theme)
}

export function applyTheme(theme: Theme = chosenTheme()): void {
  if (theme === 'system') document.documentElement.removeAttribute('data-theme')
  else document.documentElement.setAttribute('data-theme', theme)
}

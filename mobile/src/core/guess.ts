/**
 * Whether somebody was signed in when this browser last had the app: known before the database is, so that the first
 * screen need not wait for it. A guess and no more; what the database says then holds.
 */

const NAME = 'pager-signed-in'

export function wasSignedIn(): boolean {
  try {
    return localStorage.getItem(NAME) !== null
  } catch {
    return false
  }
}

export function rememberSignedIn(is: boolean): void {
  try {
    if (is) localStorage.setItem(NAME, '1')
    else localStorage.removeItem(NAME)
  } catch {
    // Guessed wrong at the next start, which costs a moment and nothing else.
  }
}

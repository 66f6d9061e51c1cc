import 'fake-indexeddb/auto'
import { webcrypto } from 'node:crypto'

// jsdom has only a part of it.
Object.defineProperty(globalThis, 'crypto', { value: webcrypto, configurable: true })
window.scrollTo = () => undefined
// jsdom's dialogs do not open.
HTMLDialogElement.prototype.showModal ??= function (this: HTMLDialogElement) {
  this.open = true
}
HTMLDialogElement.prototype.close ??= function (this: HTMLDialogElement) {
  this.open = false
  this.dispatchEvent(new Event('close'))
}

/// <reference lib="webworker" />
/** Pushes to a browser: `push` and `notificationclick` belong here. */

export function listenForPush(_worker: ServiceWorkerGlobalScope): void {}

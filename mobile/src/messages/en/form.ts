export const form = {
  'form.stale': 'Somebody has changed this meanwhile. Look at it as it is now, then change it again.',
  'form.forbidden': 'You may not do this: {reason}',
  'form.field': '{field}: {reason}',
  'form.more': 'Show more',
} as const

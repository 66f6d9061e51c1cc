export const form = {
  'form.stale': 'Somebody has changed this meanwhile. Look at it as it is now, then change it again.',
  'form.reload': 'Show what there is now',
  'form.forbidden': 'You may not do this: {reason}',
  'form.field': '{field}: {reason}',
  'form.more': 'Show more',
  'form.save': 'Save',
  'form.saved': 'Saved',
  'form.optional': 'May be left empty.',
  'form.copy': 'Copy',
  'form.copied': 'Copied',
  'form.search': 'Search',
} as const

export const critical = {
  'critical.title': 'Critical alert',
} as const

export const admin = {
  'admin.title': 'Team',
} as const

export const incidents = {
  'incidents.title': 'Incidents',
} as const

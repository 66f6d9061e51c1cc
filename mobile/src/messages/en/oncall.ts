export const oncall = {
  'oncall.title': 'On-call',
} as const

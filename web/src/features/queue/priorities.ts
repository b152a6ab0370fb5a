import type { Priority } from '@/api/schema'

export const PRIORITIES: [Priority, string][] = [
  ['critical', 'Critical: before all others'],
  ['high', 'High: before normal ones that wait'],
  ['normal', 'Normal'],
  ['low', 'Low: lets others go first'],
]

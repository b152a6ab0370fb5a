// Whose figures, and how far back: in the page's address. Pure.
import { text } from '@/address'

export const RANGES = [
  ['7d', '7 days'],
  ['30d', '30 days'],
  ['90d', '90 days'],
  ['366d', 'A year'],
] as const

export type Range = (typeof RANGES)[number][0]

/** What the server takes when nothing is said. */
export const USUAL: Range = '30d'

export interface FiguresSearch {
  app?: string
  environment?: string
  since?: Range
}

/** What the address says, without what means nothing: an environment is one of an app. */
export function searchOf(search: Record<string, unknown>): FiguresSearch {
  const app = text(search.app)
  const environment = app === undefined ? undefined : text(search.environment)
  const since = RANGES.map(([range]) => range).find((range) => range === search.since && range !== USUAL)
  return Object.fromEntries(Object.entries({ app, environment, since }).filter(([, value]) => value !== undefined))
}

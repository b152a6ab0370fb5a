// Whether the rules let a deployment begin now. Pure; the server decides all the same.
import { daysInWords } from './words'
import type { Window } from '@/api/schema'

export interface Held {
  /** By what, or as what: the end of a sentence. */
  why: string
  /** When that changes, if it is known. */
  until?: string
}

/** What holds deployments of an environment now: a freeze before windows, and those only when none of them is open. */
export function heldBy(windows: Window[], app: string, environment: string): Held | undefined {
  const here = windows.filter((rule) => (rule.app ?? app) === app && (rule.environment ?? environment) === environment)
  const freeze = here.find(({ rule, now }) => rule.kind === 'freeze' && now)
  if (freeze?.rule.kind === 'freeze') return { why: `by a freeze: ${freeze.rule.reason}`, until: freeze.changes_at ?? undefined }
  const openings = here.filter(({ rule }) => rule.kind === 'deploy')
  if (openings.length === 0 || openings.some(({ now }) => now)) return undefined
  const next = openings.toSorted((a, b) => (a.changes_at ?? '~').localeCompare(b.changes_at ?? '~'))[0]
  if (next?.rule.kind !== 'deploy') return undefined
  const { days, from, to, zone } = next.rule
  return { why: `as the deploy window is closed: ${daysInWords(days)}, ${from} to ${to} ${zone}`, until: next.changes_at ?? undefined }
}

// The four keys of each day as numbers that can be drawn. Pure.
import type { FiguresDay } from '@/api/schema'
import { duration, number, percent } from '@/ui/format'

export interface Series {
  name: string
  /** What it means, in one line. */
  about: string
  /** Nothing where there was nothing to measure. */
  of(day: FiguresDay): number | undefined
  show(value: number): string
}

export const SERIES: Series[] = [
  {
    name: 'Deployments',
    about: 'Deploys and promotions that became active.',
    of: ({ dora }) => dora.deployments,
    show: number,
  },
  {
    name: 'Lead time',
    about: 'From a commit until it was active; half of them took no longer.',
    of: ({ dora }) => dora.lead_time.p50_ms ?? undefined,
    show: duration,
  },
  {
    name: 'Change failure rate',
    about: 'Changes that were taken back, or rolled back within a day.',
    of: ({ dora }) => dora.change_failure_rate ?? undefined,
    show: percent,
  },
  {
    name: 'Time to restore',
    about: 'From a failed change until something good served again; half of them took no longer.',
    of: ({ dora }) => dora.time_to_restore.p50_ms ?? undefined,
    show: duration,
  },
]

/** The day as it is called in UTC, of which it is one: `21 Nov`. */
export const dayOf = (at: string) => new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' }).format(new Date(at))

/** Days on which something ended, the newest first. */
export const busy = (days: readonly FiguresDay[]) =>
  days.filter(({ changes, dora }) => changes.total > 0 || dora.failed_changes > 0).toReversed()

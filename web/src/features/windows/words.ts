// Deploy windows and freezes in words. Pure.
import type { Window } from '@/api/schema'

export const WEEK: [string, string][] = [
  ['mon', 'Mon'],
  ['tue', 'Tue'],
  ['wed', 'Wed'],
  ['thu', 'Thu'],
  ['fri', 'Fri'],
  ['sat', 'Sat'],
  ['sun', 'Sun'],
]

/** Days as the API writes them: `daily`, or a list with commas. */
export function daysWritten(chosen: string[]): string {
  const days = WEEK.map(([day]) => day).filter((day) => chosen.includes(day))
  return days.length === 7 ? 'daily' : days.join(',')
}

/** `mon-fri` as `Mon to Fri`. */
export function daysInWords(days: string): string {
  if (days === 'daily') return 'Every day'
  const names = new Map(WEEK)
  return days
    .split(',')
    .map((part) =>
      part
        .split('-')
        .map((day) => names.get(day) ?? day)
        .join(' to '),
    )
    .join(', ')
}

export const whereOf = ({ app, environment }: Pick<Window, 'app' | 'environment'>) =>
  app ? (environment ? `${app} / ${environment}` : `${app}, all environments`) : environment ? `All apps / ${environment}` : 'All apps, all environments'


// What of the audit log is looked at: the filter in the page's address. Pure.
import { text } from '@/address'
import type { AuditOutcome } from '@/api/schema'
import { instants, wall } from '@/ui/zones'

export const OUTCOMES: AuditOutcome[] = ['done', 'begun', 'failed', 'refused']

export interface AuditSearch {
  /** Id of a person, token or schedule. */
  actor?: string
  operation?: string
  app?: string
  outcome?: AuditOutcome
  /** Instants, such as 2026-11-21T10:00:00Z. */
  since?: string
  until?: string
  cursor?: string
}

function instant(value: unknown): string | undefined {
  const written = text(value)
  return written === undefined || Number.isNaN(Date.parse(written)) ? undefined : new Date(written).toISOString()
}

/** What the address says, without what means nothing. */
export function searchOf(search: Record<string, unknown>): AuditSearch {
  const read: AuditSearch = {
    actor: text(search.actor),
    operation: text(search.operation),
    app: text(search.app),
    outcome: OUTCOMES.find((outcome) => outcome === search.outcome),
    since: instant(search.since),
    until: instant(search.until),
    cursor: text(search.cursor),
  }
  return Object.fromEntries(Object.entries(read).filter(([, value]) => value !== undefined))
}

/** What is asked for, whichever page of it. */
const filterOf = (search: AuditSearch): [name: string, value: string][] =>
  Object.entries(search).flatMap(([name, value]) => (name === 'cursor' || value === undefined ? [] : [[name, String(value)]]))

/** Whether anything is left out. */
export const isFiltered = (search: AuditSearch) => filterOf(search).length > 0

/** Where what is looked at can be downloaded, all pages of it. */
export function exportPath(search: AuditSearch): string {
  const query = new URLSearchParams(filterOf(search)).toString()
  return query === '' ? '/api/v1/audit/export' : `/api/v1/audit/export?${query}`
}

/** The instant as a field for date and time takes it, by the clocks of a zone: `2026-11-21T19:53`. */
export const fieldOf = (instant: string | undefined, zone: string): string => (instant === undefined ? '' : wall(Date.parse(instant), zone))

/** The instant that such a field means, the earlier of two; nothing while it is not whole. */
export const instantOf = (field: string, zone: string): string | undefined => instants(field, zone)[0]

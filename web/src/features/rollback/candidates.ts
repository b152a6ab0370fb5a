import type { ReleaseStatus } from '@/api/schema'

type Of = Pick<ReleaseStatus, 'number' | 'files_gone_at'>

/**
 * What can be gone back to of the releases that have served in an environment, newest first, and which of them to offer: the newest
 * that is older than what serves, as the server would take. None when all that are left are newer: then somebody has to choose. Pure.
 */
export function candidates<Release extends Of>(served: Release[], now: number | undefined): { offered: Release[]; first?: Release } {
  const offered = [...new Map(served.map((release) => [release.number, release])).values()]
    .filter(({ number, files_gone_at }) => number !== now && !files_gone_at)
    .sort((a, b) => b.number - a.number)
  return { offered, first: offered.find(({ number }) => number < (now ?? 0)) }
}

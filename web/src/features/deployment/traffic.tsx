import { useQuery } from '@tanstack/react-query'
import { metrics } from '@/api/queries'
import type { Deployment, ReleaseMetrics } from '@/api/schema'
import { Card } from '@/ui/card'
import { percent, short } from '@/ui/format'
import { Empty, Loaded } from '@/ui/states'
import { Status, hasEnded } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { CircleCheck, CircleDashed } from 'lucide-react'

/** Whether requests may have reached the release that this deployment brings. */
export const switches = ({ phase, metadata }: Deployment) =>
  Boolean(metadata.switched_at) || phase === 'updating_routes' || phase === 'health_check' || phase === 'active'

/** Failures of the release itself and of the way to it, of all that was asked. */
export function failing(release: ReleaseMetrics): number {
  // What the ingress answered in the app's place has a status of its own, and is among the server errors.
  const broken = release.responses.server_errors + release.errors.aborted
  return release.requests === 0 ? 0 : Math.min(1, broken / release.requests)
}

/** Of the release that a deployment brings, and the one that served before, as far as the ingress has them still. */
export function ofDeployment(releases: ReleaseMetrics[], { phase, release, metadata }: Deployment): ReleaseMetrics[] {
  const own = metadata.switched_to ?? release
  // The other's alone would tell what came of that one since, and nothing of this deployment.
  if (hasEnded(phase) && !releases.some((counted) => counted.release === own)) return []
  return [...new Set([own, metadata.previous_release])].flatMap((id) => releases.filter((counted) => counted.release === id))
}

/** Requests by release: the new one beside the one before. Of one deployment, or of all that an environment has had lately. */
export function TrafficCard({ app, environment, live, of }: { app: string; environment: string; live: boolean; of?: Deployment }) {
  const query = useQuery({ ...metrics(app, environment), refetchInterval: live ? 2000 : 15_000 })
  return (
    <Card title="Requests by release" flush>
      <Loaded query={query}>
        {({ releases }) => {
          const rows = of ? ofDeployment(releases, of) : releases
          if (rows.length > 0) {
            return <Table label="Requests by release" columns={columns} rows={rows} id={({ release, component }) => `${release} ${component}`} />
          }
          return of && hasEnded(of.phase) ? (
            <Empty title="No figures any more">The ingress keeps those of releases that it has served lately.</Empty>
          ) : (
            <Empty title="No requests yet">The ingress counts from the first one on.</Empty>
          )
        }}
      </Loaded>
    </Card>
  )
}

const columns: Column<ReleaseMetrics>[] = [
  {
    head: 'Release',
    phone: 'title',
    cell: ({ number, component }) => (
      <span>
        <span className="font-medium tabular">{number ? `v${number}` : '–'}</span> <span className="text-sm text-muted">{component}</span>
      </span>
    ),
  },
  {
    head: 'State',
    cell: ({ active }) => (
      <Status standing={active ? { tone: 'good', word: 'Serves', icon: CircleCheck } : { tone: 'idle', word: 'Before', icon: CircleDashed }} />
    ),
  },
  { head: 'Requests', right: true, cell: ({ requests }) => short(requests) },
  {
    head: 'Failing',
    right: true,
    cell: (row) => <span className={failing(row) > 0 ? 'font-medium text-bad' : undefined}>{percent(failing(row))}</span>,
  },
  { head: 'p95', right: true, cell: ({ latency, requests }) => (requests === 0 ? '–' : `${latency.p95_ms < 10 ? latency.p95_ms.toFixed(1) : Math.round(latency.p95_ms)} ms`) },
]

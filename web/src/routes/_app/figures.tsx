import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link, createFileRoute, useNavigate } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { figures } from '@/api/queries'
import type { Figures as Found } from '@/api/schema'
import { ByDay } from '@/features/figures/by-day'
import { Failures } from '@/features/figures/failures'
import { Filter } from '@/features/figures/filter'
import { Phases } from '@/features/figures/phases'
import { Releases } from '@/features/figures/releases'
import { type FiguresSearch, searchOf } from '@/features/figures/search'
import { to } from '@/paths'
import { Card } from '@/ui/card'
import { duration, number, percent, plural } from '@/ui/format'
import { Page } from '@/ui/page'
import { Loaded } from '@/ui/states'

export const Route = createFileRoute('/_app/figures')({
  validateSearch: searchOf,
  loaderDeps: ({ search }) => search,
  loader: ({ context, deps }) => void context.client.prefetchQuery(figures(deps)),
  component: Figures,
})

function Figures() {
  const search = Route.useSearch()
  const navigate = useNavigate({ from: Route.fullPath })
  const query = useQuery({ ...figures(search), placeholderData: keepPreviousData })
  const change = (next: FiguresSearch) => void navigate({ search: searchOf({ ...next }) })
  return (
    <Page
      title="Figures"
      lead={
        <>
          How deployments go, and how releases answer. How each figure is reckoned is in{' '}
          <Link {...to.guide('guide', 'how-deployments-go')} className="text-accent underline underline-offset-2">
            the guide
          </Link>
          .
        </>
      }
    >
      <Filter search={search} change={change} />
      <Loaded query={query}>
        {(found) => (
          <>
            <Tiles found={found} />
            <Card title="Day by day" flush>
              <ByDay days={found.days} />
            </Card>
            <Card title="How long phases take" flush>
              <Phases phases={found.analytics.phases} />
            </Card>
            <Card title="How releases answer" flush>
              <Releases releases={found.releases} />
            </Card>
            {found.analytics.failures.length > 0 ? (
              <Card title="Where deployments fail" flush>
                <Failures failures={found.analytics.failures} />
              </Card>
            ) : null}
          </>
        )}
      </Loaded>
    </Page>
  )
}

function Tiles({ found: { running, queued, analytics } }: { found: Found }) {
  const { changes, rollbacks, dora } = analytics
  const none = '–'
  const tiles: [name: string, value: ReactNode, beside: string][] = [
    ['Running now', number(running), queued > 0 ? `${number(queued)} waiting` : 'nothing waits'],
    ['Success rate', changes.success_rate == null ? none : percent(changes.success_rate), `${number(changes.active)} of ${plural(changes.total, 'change')}, ${plural(rollbacks.total, 'rollback')}`],
    ['Deployments a day', dora.deployments_per_day.toFixed(2), `${plural(dora.deployments, 'deployment')} became active`],
    ['Lead time', dora.lead_time.p50_ms == null ? none : duration(dora.lead_time.p50_ms), dora.lead_time.p95_ms == null ? 'no new commit' : `p95 ${duration(dora.lead_time.p95_ms)}`],
    ['Change failure rate', dora.change_failure_rate == null ? none : percent(dora.change_failure_rate), plural(dora.failed_changes, 'failed change')],
    ['Time to restore', dora.time_to_restore.p50_ms == null ? none : duration(dora.time_to_restore.p50_ms), dora.time_to_restore.p95_ms == null ? 'nothing to restore' : `p95 ${duration(dora.time_to_restore.p95_ms)}`],
  ]
  return (
    <dl className="grid grid-cols-2 gap-3 sm:grid-cols-3">
      {tiles.map(([name, value, beside]) => (
        <div key={name} className="rounded-lg border border-line bg-surface px-4 py-3">
          <dt className="text-sm text-muted">{name}</dt>
          <dd className="text-2xl font-semibold tabular">{value}</dd>
          <dd className="text-sm text-muted">{beside}</dd>
        </div>
      ))}
    </dl>
  )
}

import { Link } from '@tanstack/react-router'
import { ExternalLink } from 'lucide-react'
import type { AppOverview, EnvironmentOverview } from '@/api/schema'
import { DeployButton } from '@/features/deploy/deploy'
import { to } from '@/paths'
import { plural } from '@/ui/format'
import { Progress } from '@/ui/progress'
import { Status, healthOf, queued, standingOf, unknown } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'

interface Row {
  app: AppOverview
  environment: EnvironmentOverview
}

/** Apps x environments: what serves, how it is, what goes on. */
export function Environments({ apps }: { apps: AppOverview[] }) {
  const rows = apps.flatMap((app) => app.environments.map((environment): Row => ({ app, environment })))
  return <Table label="Apps and their environments" columns={columns} rows={rows} id={({ environment }) => environment.id} card={Card} />
}

const Where = ({ app, environment }: Row) => (
  <span>
    <Link {...to.app(app.name)} className="touch font-semibold hover:underline">
      {app.name}
    </Link>
    <span className="text-muted"> / </span>
    <Link {...to.environment(app.name, environment.name)} className="touch hover:underline">
      {environment.name}
    </Link>
  </span>
)

const Serves = ({ environment: { active } }: Row) =>
  active ? (
    <span className="tabular">
      v{active.release_number}
      {active.commit ? <span className="text-muted"> · {active.commit}</span> : null}
    </span>
  ) : (
    <span className="text-muted">nothing yet</span>
  )

function State({ app, environment: { name, active, working, queued: waiting, instances, host } }: Row) {
  if (working) {
    return (
      <Link {...to.deployment(working.deployment)} className="flex min-w-36 flex-col gap-1.5 hover:underline">
        <Status standing={standingOf(working)} />
        <Progress value={working.progress} label={`Progress of ${app.name} / ${name}`} className="w-full" />
      </Link>
    )
  }
  if (waiting > 0) {
    return (
      <Link {...to.queue()} className="hover:underline">
        <Status standing={{ ...queued, word: `${plural(waiting, 'deployment')} queued` }} />
      </Link>
    )
  }
  // The processes of another machine are seen from there alone.
  if (!instances) return <Status standing={{ ...unknown, word: `On ${host}` }} />
  return <Status standing={healthOf(instances, Boolean(active))} />
}

const Actions = ({ app, environment }: Row) => (
  <span className="inline-flex items-center justify-end gap-1">
    {environment.urls[0] && environment.active ? (
      <a
        href={environment.urls[0]}
        target="_blank"
        rel="noreferrer"
        className="touch inline-flex items-center justify-center gap-1.5 rounded-md px-2 py-1 text-sm text-accent hover:bg-hover"
        aria-label={`Open ${app.name} / ${environment.name}`}
      >
        Open <ExternalLink className="size-3.5" aria-hidden />
      </a>
    ) : null}
    <DeployButton app={app} environment={environment.name} size="sm" />
  </span>
)

const Card = (row: Row) => (
  <div className="flex flex-col gap-1">
    <div className="flex items-start justify-between gap-3 text-lg">
      <Where {...row} />
      <span className="shrink-0 text-base">{row.environment.working ? null : <State {...row} />}</span>
    </div>
    {row.environment.working ? <State {...row} /> : null}
    <div className="flex items-center justify-between gap-3">
      <span className="min-w-0">
        <Serves {...row} />
        {row.environment.active ? (
          <>
            <span className="text-muted"> · </span>
            <Time at={row.environment.active.since} className="text-muted" />
          </>
        ) : null}
      </span>
      <Actions {...row} />
    </div>
  </div>
)

const columns: Column<Row>[] = [
  { head: 'App', className: 'sm:w-1/3', cell: Where },
  { head: 'Serves', cell: Serves },
  {
    head: 'Since',
    cell: ({ environment: { active } }) => (active ? <Time at={active.since} className="text-muted" /> : <span className="text-muted">–</span>),
  },
  { head: 'State', cell: State },
  { head: <span className="sr-only">Actions</span>, right: true, cell: Actions },
]

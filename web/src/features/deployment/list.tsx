import { Link } from '@tanstack/react-router'
import type { Deployment } from '@/api/schema'
import { to } from '@/paths'
import { Status, hasEnded, standingOf } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Elapsed, Time } from '@/ui/time'
import { Words } from '@/ui/words'
import { nameOf } from './words'

interface Props {
  deployments: Deployment[]
  label: string
  /** Where they all are: not said again in each row. */
  app?: string
  environment?: string
  /** The deployments whose releases serve now. */
  serving?: Set<string>
}

export function DeploymentList({ deployments, label, app, environment, serving }: Props) {
  const where: Column<Deployment>[] = environment
    ? []
    : [
        {
          head: 'Where',
          cell: (row) => (
            <span>
              {app ? null : (
                <>
                  <Link {...to.app(row.app)} className="hover:underline">
                    {row.app}
                  </Link>
                  <span className="text-muted"> / </span>
                </>
              )}
              <Link {...to.environment(row.app, row.environment)} className="hover:underline">
                {row.environment}
              </Link>
            </span>
          ),
        },
      ]
  const columns: Column<Deployment>[] = [
    {
      head: 'Deployment',
      phone: 'title',
      className: 'sm:max-w-80',
      cell: (row) => (
        <span className="min-w-0">
          <Link {...to.deployment(row.id)} className="touch font-semibold hover:underline">
            {nameOf(row)}
          </Link>
          {row.metadata.commit ? <span className="block truncate text-sm text-muted">{row.metadata.commit.summary}</span> : null}
        </span>
      ),
    },
    ...where,
    {
      head: 'State',
      className: 'sm:max-w-72',
      cell: (row) => (
        <span className="min-w-0 max-sm:text-right">
          <Status standing={standingOf(row, serving ? serving.has(row.id) : undefined)} />
          {row.failure ? <span className="block text-sm text-muted"><Words text={row.failure.message} /></span> : null}
        </span>
      ),
    },
    { head: 'By', cell: (row) => row.requested_by },
    { head: 'Took', right: true, cell: (row) => <Elapsed from={row.created_at} to={hasEnded(row.phase) ? row.finished_at : null} /> },
    { head: 'Began', right: true, cell: (row) => <Time at={row.created_at} className="text-muted" /> },
  ]
  const card = (row: Deployment) => (
    <div className="flex flex-col gap-0.5">
      <div className="flex items-start justify-between gap-3">
        <Link {...to.deployment(row.id)} className="touch text-lg font-semibold hover:underline">
          {environment ? nameOf(row) : app ? `${nameOf(row)} · ${row.environment}` : `${row.app} / ${row.environment}`}
        </Link>
        <Status standing={standingOf(row, serving ? serving.has(row.id) : undefined)} />
      </div>
      <p className="text-sm text-muted">
        {app ? null : <>{nameOf(row)} · </>}
        {row.metadata.commit ? <>{row.metadata.commit.summary} · </> : null}
        <Time at={row.created_at} />
      </p>
      {row.failure ? (
        <p className="text-sm">
          <Words text={row.failure.message} />
        </p>
      ) : null}
    </div>
  )
  return <Table label={label} columns={columns} rows={deployments} id={({ id }) => id} card={card} />
}

import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { deployment } from '@/api/queries'
import type { Diagnosis } from '@/api/schema'
import { plain } from '@/logs/ansi'
import { to } from '@/paths'
import { Progress } from '@/ui/progress'
import { Empty } from '@/ui/states'
import { type Standing, Status, standingOf } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Elapsed } from '@/ui/time'

const columns: Column<Diagnosis>[] = [
  {
    head: 'Deployment',
    phone: 'title',
    cell: ({ deployment, app, environment }) => (
      <Link {...to.deployment(deployment)} className="touch font-semibold hover:underline">
        {app} / {environment}
      </Link>
    ),
  },
  { head: 'State', className: 'sm:w-56', cell: (row) => <State of={row} /> },
  {
    head: 'Now',
    className: 'sm:max-w-96',
    cell: ({ last_output: output, reason }) => <span className="block truncate text-sm text-muted max-sm:text-right">{reason ?? (output ? plain(output.text) : '–')}</span>,
  },
  { head: 'For', right: true, cell: ({ since }) => <Elapsed from={since} /> },
]

function State({ of }: { of: Diagnosis }) {
  const { data } = useQuery(deployment(of.deployment))
  const stuck = of.state === 'stuck' ? (of.reason ?? 'stuck') : null
  const standing = standingOf(data ?? { phase: of.phase, stuck, cancelling: false })
  const cleans = of.state === 'working' && of.phase === 'active'
  const shown: Standing =
    of.state === 'stalled'
      ? { ...standing, tone: 'warn', word: `${standing.word}, no progress` }
      : cleans
        ? { ...standing, word: `${standing.word}, cleaning up` }
        : standing
  return (
    <span className="flex min-w-36 flex-col gap-1.5">
      <Status standing={shown} />
      {data ? <Progress value={data.progress} label={`Progress of ${of.app} / ${of.environment}`} /> : null}
    </span>
  )
}

export const AtWork = ({ diagnoses }: { diagnoses: Diagnosis[] }) =>
  diagnoses.length === 0 ? (
    <Empty title="Nothing is being deployed" />
  ) : (
    <Table label="Deployments at work" columns={columns} rows={diagnoses} id={({ deployment }) => deployment} />
  )

import { Link } from '@tanstack/react-router'
import { CircleCheck, CircleDashed } from 'lucide-react'
import type { ReleaseFigures } from '@/api/schema'
import { to } from '@/paths'
import { percent, short } from '@/ui/format'
import { Note } from '@/ui/note'
import { Empty } from '@/ui/states'
import { Status } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'

/** How releases answer: each beside the one before it. */
export function Releases({ releases }: { releases?: ReleaseFigures[] | null }) {
  if (!releases) {
    return (
      <div className="p-4">
        <Note tone="warn" title="The ingress does not answer">
          What it has counted is not lost; it is started again within seconds.
        </Note>
      </div>
    )
  }
  if (releases.length === 0) return <Empty title="No requests yet">The ingress counts from the first one on.</Empty>
  return <Table label="How releases answer" columns={columns} rows={releases} id={({ app, environment, release }) => `${app} ${environment} ${release}`} />
}

const ms = (value: number) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`
const latency = (head: string, of: (row: ReleaseFigures) => number): Column<ReleaseFigures> => ({
  head,
  right: true,
  cell: (row) => (row.requests === 0 ? <span className="text-muted">–</span> : ms(of(row))),
})

const columns: Column<ReleaseFigures>[] = [
  {
    head: 'Release',
    phone: 'title',
    cell: ({ app, environment, number }) => (
      <span>
        <Link {...to.environment(app, environment)} className="touch inline-flex items-center font-medium hover:underline">
          {app} / {environment}
        </Link>{' '}
        <span className="tabular">{number ? `v${number}` : '–'}</span>
      </span>
    ),
  },
  {
    head: 'State',
    cell: ({ active }) => (
      <Status standing={active ? { tone: 'good', word: 'Serves', icon: CircleCheck } : { tone: 'idle', word: 'Before', icon: CircleDashed }} />
    ),
  },
  { head: 'Counted since', cell: ({ since }) => <Time at={since} className="text-muted" /> },
  { head: 'Requests', right: true, cell: ({ requests }) => short(requests) },
  {
    head: 'Failing',
    right: true,
    cell: ({ error_rate: rate, errors }) =>
      rate == null ? <span className="text-muted">–</span> : <span className={errors > 0 ? 'font-medium text-bad' : undefined}>{percent(rate)}</span>,
  },
  latency('p50', ({ p50_ms }) => p50_ms),
  latency('p95', ({ p95_ms }) => p95_ms),
  latency('p99', ({ p99_ms }) => p99_ms),
]

import type { PhaseFigures } from '@/api/schema'
import { duration } from '@/ui/format'
import { Empty } from '@/ui/states'
import { phaseWord } from '@/ui/status'
import { type Column, Table } from '@/ui/table'

/** How long each phase takes: a table, with bars in it. */
export function Phases({ phases }: { phases: PhaseFigures[] }) {
  const most = Math.max(1, ...phases.map(({ good }) => good.p95_ms ?? 0))
  const bar: Column<PhaseFigures> = {
    head: <span className="sr-only">As a bar</span>,
    className: 'sm:w-2/5',
    phone: 'hidden',
    cell: ({ good }) => (
      <span aria-hidden className="relative block h-3 overflow-hidden rounded-sm bg-sunken">
        <span className="absolute inset-y-0 left-0 bg-accent-line" style={{ width: `${((good.p95_ms ?? 0) / most) * 100}%` }} />
        <span className="absolute inset-y-0 left-0 bg-accent" style={{ width: `${((good.p50_ms ?? 0) / most) * 100}%` }} />
      </span>
    ),
  }
  if (phases.length === 0) return <Empty title="Nothing was measured in this time">Each phase is timed when a deployment has ended.</Empty>
  return <Table label="How long each phase takes" columns={[...columns, bar]} rows={phases} id={({ phase }) => phase} />
}

const time = (ms: number | null | undefined) => (ms == null ? <span className="text-muted">–</span> : duration(ms))

const columns: Column<PhaseFigures>[] = [
  { head: 'Phase', phone: 'title', cell: ({ phase }) => phaseWord(phase) },
  { head: 'Times', right: true, cell: ({ good }) => good.count },
  { head: 'p50', right: true, cell: ({ good }) => time(good.p50_ms) },
  { head: 'p95', right: true, cell: ({ good }) => time(good.p95_ms) },
  { head: 'Failed in it', right: true, cell: ({ failed }) => <span className={failed.count > 0 ? 'font-medium text-bad' : 'text-muted'}>{failed.count}</span> },
]

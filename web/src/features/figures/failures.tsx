import { Link } from '@tanstack/react-router'
import type { FailurePoint } from '@/api/schema'
import { to } from '@/paths'
import { tail } from '@/ui/format'
import { phaseWord } from '@/ui/status'
import { type Column, Table } from '@/ui/table'

/** Where deployments failed, the most frequent first. */
export const Failures = ({ failures }: { failures: FailurePoint[] }) => (
  <Table label="Where deployments fail" columns={columns} rows={failures} id={({ phase, cause }) => `${phase} ${cause}`} />
)

const columns: Column<FailurePoint>[] = [
  { head: 'Phase', phone: 'title', cell: ({ phase }) => phaseWord(phase) },
  { head: 'Cause', cell: ({ cause }) => cause.replaceAll('_', ' ') },
  { head: 'Times', right: true, cell: ({ count }) => count },
  {
    head: 'The last one',
    right: true,
    cell: ({ last }) => (
      <Link {...to.deployment(last)} className="touch inline-flex items-center font-mono text-sm hover:underline">
        {tail(last)}
      </Link>
    ),
  },
]

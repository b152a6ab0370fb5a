import type { ReactNode } from 'react'
import type { ReleaseStatus } from '@/api/schema'
import { Code } from '@/ui/code'
import { bytes } from '@/ui/format'
import { Empty } from '@/ui/states'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'

const columns: Column<ReleaseStatus>[] = [
  {
    head: 'Release',
    phone: 'title',
    cell: ({ number, tags }) => (
      <span>
        <span className="font-medium tabular">v{number}</span>
        {tags.map((tag) => (
          <span key={tag} className="ml-2 rounded border border-line bg-sunken px-1.5 text-xs">
            {tag}
          </span>
        ))}
      </span>
    ),
  },
  {
    head: 'Commit',
    className: 'sm:max-w-96',
    cell: ({ commit }) =>
      commit ? (
        <span className="block truncate max-sm:text-right">
          <Code>{commit.sha.slice(0, 7)}</Code> <span className="text-muted">{commit.summary}</span>
        </span>
      ) : (
        <span className="text-muted">–</span>
      ),
  },
  { head: 'Serves in', cell: ({ active_in }) => (active_in.length > 0 ? active_in.join(', ') : <span className="text-muted">–</span>) },
  { head: 'Size', right: true, cell: ({ size, files_gone_at }) => (files_gone_at ? <span className="text-muted">removed</span> : bytes(size)) },
  { head: 'Made', right: true, cell: ({ created_at }) => <Time at={created_at} className="text-muted" /> },
]

interface Props {
  releases: ReleaseStatus[]
  /** What can be done with one. */
  actions?(release: ReleaseStatus): ReactNode
}

export const ReleaseList = ({ releases, actions }: Props) =>
  releases.length === 0 ? (
    <Empty title="No release yet">The first deployment that gets as far makes one.</Empty>
  ) : (
    <Table
      label="Releases, the newest first"
      columns={actions ? [...columns, { head: <span className="sr-only">Actions</span>, right: true, cell: actions }] : columns}
      rows={releases}
      id={({ id }) => id}
    />
  )

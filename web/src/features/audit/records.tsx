import { Link } from '@tanstack/react-router'
import type { AuditRecord } from '@/api/schema'
import { to } from '@/paths'
import { Code } from '@/ui/code'
import { number } from '@/ui/format'
import { Status } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'
import { type Line, linesOf } from './lines'
import type { AuditSearch } from './search'
import { doors, kinds, outcomes } from './words'

/** As many lines of one record are seen at once. */
const SEEN = 4

/** Links stand close to each other: each is high enough to be met. */
const link = 'touch inline-flex items-center py-0.5 hover:underline'

/** `filter` is what is looked at now: names and operations lead to those alone. */
export function Records({ records, filter }: { records: AuditRecord[]; filter: AuditSearch }) {
  const only = (more: AuditSearch) => to.audit({ ...filter, cursor: undefined, ...more })
  const who = (row: AuditRecord) => (
    <Link {...only({ actor: row.actor })} title={`Only what ${row.actor_name} did`} className={`${link} font-medium break-words`}>
      {row.actor_name}
    </Link>
  )
  const what = (row: AuditRecord) => (
    <Link {...only({ operation: row.operation })} title={`Only ${row.operation}`} className={`${link} font-mono text-sm break-all`}>
      {row.operation}
    </Link>
  )
  const columns: Column<AuditRecord>[] = [
    {
      head: 'When',
      className: 'sm:align-top',
      cell: ({ at, seq }) => (
        <span>
          <Time at={at} />
          <span className="block text-sm text-muted tabular">No. {number(seq)}</span>
        </span>
      ),
    },
    {
      head: 'Who',
      className: 'sm:max-w-56 sm:align-top',
      cell: (row) => (
        <span className="min-w-0">
          {who(row)}
          <span className="block text-sm text-muted">
            <How record={row} />
          </span>
        </span>
      ),
    },
    {
      head: 'What',
      className: 'sm:max-w-64 sm:align-top',
      cell: (row) => (
        <span className="min-w-0">
          {what(row)}
          <span className="block text-sm text-muted">
            <Where record={row} />
          </span>
        </span>
      ),
    },
    {
      head: 'Outcome',
      className: 'sm:align-top',
      cell: (row) => (
        <span>
          <Status standing={outcomes[row.outcome]} />
          <Of record={row} />
        </span>
      ),
    },
    { head: 'Before → after, or what was asked for', className: 'sm:max-w-96 sm:align-top', cell: (row) => <Lines lines={linesOf(row)} /> },
  ]
  const card = (row: AuditRecord) => (
    <div className="flex flex-col gap-1">
      <div className="flex items-start justify-between gap-3">
        {what(row)}
        <Status standing={outcomes[row.outcome]} />
      </div>
      <p>
        {who(row)}{' '}
        <span className="text-sm text-muted">
          <Time at={row.at} /> · No. {number(row.seq)}
        </span>
      </p>
      <p className="text-sm text-muted">
        <How record={row} />
      </p>
      <div className="text-sm text-muted">
        <Where record={row} />
        <Of record={row} />
      </div>
      <Lines lines={linesOf(row)} />
    </div>
  )
  return <Table label="Records, the newest first" columns={columns} rows={records} id={({ seq }) => String(seq)} card={card} />
}

/** What kind of actor, by which door, from which address. */
const How = ({ record: { actor_kind: kind, via, address, token } }: { record: AuditRecord }) => (
  <>
    {kind === 'person' ? null : `${kinds[kind]} · `}
    {doors[via]}
    {address ? <> · {address}</> : null}
    {token ? <span className="block text-xs break-all">{token}</span> : null}
  </>
)

function Where({ record: { app, environment, target } }: { record: AuditRecord }) {
  return (
    <>
      {app ? (
        <Link {...to.app(app)} className={link}>
          {app}
        </Link>
      ) : null}
      {app && environment ? (
        <>
          {' / '}
          <Link {...to.environment(app, environment)} className={link}>
            {environment}
          </Link>
        </>
      ) : null}
      {target ? (
        <span className="block break-all">
          {target.startsWith('dep_') ? (
            <Link {...to.deployment(target)} className={link}>
              {target}
            </Link>
          ) : (
            target
          )}
        </span>
      ) : null}
    </>
  )
}

/** The record that says how this began. */
const Of = ({ record: { of } }: { record: AuditRecord }) =>
  of ? <span className="block text-sm text-muted">as No. {number(of)} began</span> : null

function Lines({ lines }: { lines: Line[] }) {
  if (lines.length === 0) return <span className="text-muted max-sm:hidden">–</span>
  const more = lines.slice(SEEN)
  return (
    <div className="min-w-0 text-sm">
      <List lines={lines.slice(0, SEEN)} />
      {more.length > 0 ? (
        <details>
          <summary className="touch cursor-pointer text-muted">{number(more.length)} more</summary>
          <List lines={more} />
        </details>
      ) : null}
    </div>
  )
}

const List = ({ lines }: { lines: Line[] }) => (
  <ul>
    {lines.map(({ name, before, after }) => (
      <li key={name} className="break-words">
        {name === '' ? null : <span className="text-muted">{name.replaceAll('_', ' ')}: </span>}
        {before === undefined ? null : (
          <>
            <Code>{before}</Code> <span className="sr-only">became</span>
            <span aria-hidden>→</span>{' '}
          </>
        )}
        <Code>{after}</Code>
      </li>
    ))}
  </ul>
)

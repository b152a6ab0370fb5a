// A day ahead as lanes, one an environment; the table below says the same.
import { useState } from 'react'
import type { Ahead, Span } from '@/api/schema'
import { useHome } from '@/preferences'
import { Button } from '@/ui/button'
import { cn } from '@/ui/cn'
import { clock } from '@/ui/format'
import { Empty } from '@/ui/states'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'

const WORDS: Record<Span['kind'], string> = {
  at_work: 'At work',
  queued: 'Queued',
  scheduled: 'Scheduled run',
  deploy_window: 'Deploy window',
  freeze: 'Freeze',
}

const LOOKS: Record<Span['kind'], string> = {
  at_work: 'border-busy-line bg-busy-soft text-busy',
  queued: 'border-idle-line bg-idle-soft text-idle',
  scheduled: 'border-accent-line bg-accent-soft text-accent',
  deploy_window: 'border-good-line bg-good-soft text-good',
  freeze: 'border-bad-line bg-bad-soft text-bad',
}

export function Lanes({ ahead }: { ahead: Ahead }) {
  const [table, setTable] = useState(false)
  const home = useHome()
  if (ahead.spans.length === 0) {
    return <Empty title="Nothing is planned">Scheduled runs, deploy windows and freezes of the next 24 hours stand here.</Empty>
  }
  const from = Date.parse(ahead.from)
  const length = Date.parse(ahead.until) - from
  const share = (at: string) => Math.min(100, Math.max(0, ((Date.parse(at) - from) / length) * 100))
  const hours = [0, 6, 12, 18, 24].map((hour) => ({ hour, at: new Date(from + (length * hour) / 24).toISOString() }))
  return (
    <>
      <div className={cn('px-4 pb-4', table ? 'hidden' : 'max-sm:hidden')} aria-hidden>
        <div className="relative mb-1 ml-40 h-5 text-xs text-muted tabular">
          {hours.map(({ hour, at }) => (
            <span key={hour} className="absolute -translate-x-1/2 last:-translate-x-full first:translate-x-0" style={{ left: `${(hour / 24) * 100}%` }}>
              {clock(at, home)}
            </span>
          ))}
        </div>
        {[...lanes(ahead.spans)].map(([name, spans]) => (
          <div key={name} className="flex items-stretch border-t border-line">
            <div className="w-40 shrink-0 truncate py-2 pr-3 text-sm">{name}</div>
            <div className="relative min-h-9 grow">
              {spans.map((span) => {
                const left = share(span.from)
                const right = span.until ? share(span.until) : 100
                return (
                  <div
                    key={`${span.kind} ${span.from} ${'deployment' in span ? span.deployment : ''}`}
                    title={`${titleOf(span)}, from ${clock(span.from, home)}${span.until ? ` to ${clock(span.until, home)}` : ''}`}
                    className={cn('absolute inset-y-1.5 min-w-1.5 truncate rounded border px-1.5 text-xs leading-5', LOOKS[span.kind])}
                    style={{ left: `${left}%`, width: `${Math.max(0.6, right - left)}%` }}
                  >
                    {right - left > 8 ? titleOf(span) : ''}
                  </div>
                )
              })}
            </div>
          </div>
        ))}
      </div>
      {/* Its times can have the focus, and what has it is seen. */}
      <div className={table ? undefined : 'sm:not-focus-within:sr-only'}>
        <Table label="What the next 24 hours bring" columns={columns} rows={ahead.spans} id={(span) => `${span.kind} ${span.app} ${span.environment} ${span.from} ${titleOf(span)}`} />
      </div>
      <div className="border-t border-line p-2 max-sm:hidden">
        <Button look="quiet" size="sm" aria-pressed={table} onClick={() => setTable(!table)}>
          {table ? 'As lanes' : 'As a table'}
        </Button>
      </div>
    </>
  )
}

function lanes(spans: Span[]): Map<string, Span[]> {
  const found = new Map<string, Span[]>()
  for (const span of spans) {
    const name = placeOf(span)
    found.set(name, [...(found.get(name) ?? []), span])
  }
  return found
}

const placeOf = ({ app, environment }: Span) => (app ? (environment ? `${app} / ${environment}` : app) : 'All apps')

function titleOf(span: Span): string {
  if (span.kind === 'scheduled') return `Run of ${span.name}`
  if (span.kind === 'freeze') return `Freeze: ${span.reason}`
  return WORDS[span.kind]
}

const columns: Column<Span>[] = [
  { head: 'Where', phone: 'title', cell: placeOf },
  { head: 'What', cell: titleOf },
  { head: 'From', cell: ({ from }) => <Time at={from} absolute /> },
  { head: 'Until', cell: ({ until }) => (until ? <Time at={until} absolute /> : <span className="text-muted">open</span>) },
]

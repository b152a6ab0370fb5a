// The four keys of DORA day by day: small charts, and a table that says the same.
import { useState } from 'react'
import type { FiguresDay } from '@/api/schema'
import { Button } from '@/ui/button'
import { cn } from '@/ui/cn'
import { Empty } from '@/ui/states'
import { type Column, Table } from '@/ui/table'
import { SERIES, type Series, busy, dayOf } from './series'

export function ByDay({ days }: { days: FiguresDay[] }) {
  const [table, setTable] = useState(false)
  const rows = busy(days)
  if (rows.length === 0) {
    return <Empty title="No deployment has ended in this time">Choose a longer time, or deploy something.</Empty>
  }
  return (
    <>
      <div className={cn('grid gap-x-6 gap-y-5 px-4 pt-1 pb-4 sm:grid-cols-2', table && 'hidden')} aria-hidden>
        {SERIES.map((series) => (
          <Chart key={series.name} series={series} days={days} />
        ))}
      </div>
      {/* Readers of the screen have the table, whatever is shown. */}
      <div className={table ? undefined : 'sr-only'}>
        <Table label="Each day on which a deployment ended, in UTC" columns={columns} rows={rows} id={({ at }) => at} />
      </div>
      <div className="border-t border-line p-2">
        <Button look="quiet" size="sm" aria-pressed={table} onClick={() => setTable(!table)}>
          {table ? 'As charts' : 'As a table'}
        </Button>
      </div>
    </>
  )
}

/** A bar a day. Where there was nothing to measure there is none; where it was zero, a line. */
function Chart({ series, days }: { series: Series; days: FiguresDay[] }) {
  const values = days.map(series.of)
  const most = Math.max(0, ...values.map((value) => value ?? 0))
  const [first, last] = [days[0], days.at(-1)]
  return (
    <figure className="min-w-0">
      <figcaption className="flex items-baseline justify-between gap-3">
        <span className="font-medium">{series.name}</span>
        <span className="text-sm text-muted tabular">{most > 0 ? `up to ${series.show(most)}` : 'none'}</span>
      </figcaption>
      <svg viewBox={`0 0 ${days.length} 100`} preserveAspectRatio="none" className="mt-1 h-24 w-full border-b border-edge text-accent">
        {days.map((day, index) => {
          const value = values[index]
          if (value === undefined) return null
          const height = most === 0 ? 0 : (value / most) * 98
          return (
            <rect key={day.at} x={index + 0.1} width={0.8} y={100 - Math.max(height, 1)} height={Math.max(height, 1)} fill="currentColor">
              <title>{`${dayOf(day.at)}: ${series.show(value)}`}</title>
            </rect>
          )
        })}
      </svg>
      <div className="flex justify-between text-xs text-muted tabular">
        <span>{first ? dayOf(first.at) : ''}</span>
        <span>{last ? dayOf(last.at) : ''}</span>
      </div>
      <p className="text-xs text-muted">{series.about}</p>
    </figure>
  )
}

const columns: Column<FiguresDay>[] = [
  { head: 'Day', phone: 'title', cell: ({ at }) => <span className="tabular">{dayOf(at)}</span> },
  ...SERIES.map((series): Column<FiguresDay> => ({
    head: series.name,
    right: true,
    cell: (day) => {
      const value = series.of(day)
      return value === undefined ? <span className="text-muted">–</span> : series.show(value)
    },
  })),
]

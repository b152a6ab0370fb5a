// Roles are written out, as `display` takes them from the elements on a phone.
/* oxlint-disable jsx-a11y/no-redundant-roles, jsx-a11y/no-interactive-element-to-noninteractive-role */
import type { ReactNode } from 'react'
import { cn } from './cn'

export interface Column<Row> {
  head: ReactNode
  cell(row: Row): ReactNode
  /** Classes of its cells. */
  className?: string
  /** Numbers and times stand at the right. */
  right?: boolean
  /** On a phone: the row's title, or not shown at all. Others stand below with their heads. */
  phone?: 'title' | 'hidden'
}

interface Props<Row> {
  /** What the table is of; read out, not shown. */
  label: string
  columns: Column<Row>[]
  rows: Row[]
  id(row: Row): string
  /** On a phone instead of the columns: what matters, in a few lines. */
  card?(row: Row): ReactNode
  className?: string
}

/** Rows and columns on a desktop; on a phone each row is a card, so that nothing scrolls sideways. */
export function Table<Row>({ label, columns, rows, id, card, className }: Props<Row>) {
  return (
    <table role="table" aria-label={label} className={cn('w-full border-collapse text-left max-sm:block', className)}>
      <thead role="rowgroup" className="max-sm:sr-only">
        <tr role="row">
          {columns.map((column, index) => (
            // oxlint-disable-next-line react/no-array-index-key
            <th key={index} role="columnheader" scope="col" className={cn('border-b border-line px-3 py-2 text-xs font-medium text-muted first:pl-4 last:pr-4', column.right && 'text-right')}>
              {column.head}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup" className="max-sm:block">
        {rows.map((row) => (
          <tr key={id(row)} role="row" className="border-b border-line last:border-b-0 hover:bg-hover/60 max-sm:block max-sm:px-4 max-sm:py-3">
            {card ? (
              <td role="cell" className="sm:hidden max-sm:block">
                {card(row)}
              </td>
            ) : null}
            {columns.map((column, index) => (
              <td
                // oxlint-disable-next-line react/no-array-index-key
                key={index}
                role="cell"
                className={cn(
                  'px-3 py-2.5 align-middle max-sm:flex max-sm:items-baseline max-sm:justify-between max-sm:gap-4 max-sm:px-0! max-sm:py-1',
                  index === 0 && 'pl-4',
                  index === columns.length - 1 && 'pr-4',
                  column.right && 'text-right tabular',
                  column.phone === 'title' && 'max-sm:justify-start max-sm:text-lg',
                  (card ?? column.phone === 'hidden') && 'max-sm:hidden',
                  column.className,
                )}
              >
                {column.phone ? null : (
                  <span className="shrink-0 text-sm text-muted sm:hidden" aria-hidden>
                    {column.head}
                  </span>
                )}
                {column.cell(row)}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

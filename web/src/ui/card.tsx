import { type ReactNode, useId } from 'react'
import { cn } from './cn'

interface Props {
  title?: ReactNode
  /** Beside the title: a count, a link, a button. */
  aside?: ReactNode
  children: ReactNode
  className?: string
  /** Its content brings its own margins: tables, logs. */
  flush?: boolean
}

/** A part of a page with a name. */
export function Card({ title, aside, children, className, flush }: Props) {
  const id = useId()
  return (
    <section aria-labelledby={title ? id : undefined} className={cn('rounded-lg border border-line bg-surface', className)}>
      {title ? (
        <header className="flex min-h-11 flex-wrap items-center gap-x-3 gap-y-1 px-4 pt-2.5 pb-1">
          <h2 id={id} className="grow text-base font-semibold">
            {title}
          </h2>
          {aside}
        </header>
      ) : null}
      <div className={flush ? '' : cn('px-4 pb-4', title ? 'pt-1' : 'pt-4')}>{children}</div>
    </section>
  )
}

/** Names and values, one below the other. */
export function Facts({ facts, className }: { facts: [name: ReactNode, value: ReactNode][]; className?: string }) {
  return (
    <dl className={cn('grid grid-cols-[minmax(6rem,auto)_1fr] gap-x-4 gap-y-1.5', className)}>
      {facts.map(([name, value], index) => (
        // oxlint-disable-next-line react/no-array-index-key
        <div key={index} className="contents">
          <dt className="text-muted">{name}</dt>
          <dd className="min-w-0">{value}</dd>
        </div>
      ))}
    </dl>
  )
}

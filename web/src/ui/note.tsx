import { CircleCheck, CircleX, Info, TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { cn } from './cn'
import { type Tone, soft } from './tone'

const icons = { good: CircleCheck, busy: Info, warn: TriangleAlert, bad: CircleX, idle: Info }

interface Props {
  tone: Tone
  title: ReactNode
  children?: ReactNode
  /** Buttons. */
  actions?: ReactNode
  className?: string
  /** Said at once to who hears the page; for what has just happened. */
  urgent?: boolean
}

/** A message inside of a page. */
export function Note({ tone, title, children, actions, className, urgent }: Props) {
  const Icon = icons[tone]
  return (
    <div role={urgent ? 'alert' : undefined} className={cn('flex gap-3 rounded-lg border px-3.5 py-3', soft[tone], className)}>
      <Icon className="mt-0.5 size-4.5 shrink-0" aria-hidden />
      <div className="min-w-0 grow">
        <div className="font-medium">{title}</div>
        {children ? <div className="mt-1 text-sm text-text">{children}</div> : null}
        {actions ? <div className="mt-2.5 flex flex-wrap gap-2">{actions}</div> : null}
      </div>
    </div>
  )
}

/** Across the top of all pages: what holds for all of them. */
export function Banner({ tone, children, actions }: { tone: Tone; children: ReactNode; actions?: ReactNode }) {
  const Icon = icons[tone]
  return (
    <div role="status" className={cn('flex flex-wrap items-center gap-x-3 gap-y-1 border-b px-4 py-2 text-sm', soft[tone])}>
      <Icon className="size-4 shrink-0" aria-hidden />
      <span className="min-w-0 grow">{children}</span>
      {actions}
    </div>
  )
}

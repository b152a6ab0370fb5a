import { Check, Circle, LoaderCircle, X } from 'lucide-react'
import { cn } from '@/ui/cn'
import { duration } from '@/ui/format'
import { phaseWord } from '@/ui/status'
import { Elapsed } from '@/ui/time'
import type { Step } from './phases'

const icons = { done: Check, now: LoaderCircle, failed: X, ahead: Circle }
const looks = {
  done: 'text-good',
  now: 'text-busy',
  failed: 'text-bad',
  ahead: 'text-muted',
}
const words = { done: 'done', now: 'going on', failed: 'failed', ahead: 'to come' }
const bars = { done: 'bg-good', now: 'bg-busy animate-pulse-soft', failed: 'bg-bad', ahead: 'bg-line' }

/** One piece a phase, side by side on a desktop, one below the other on a phone. */
export function PhaseBar({ steps }: { steps: Step[] }) {
  if (steps.length === 0) return null
  return (
    <ol aria-label="Phases" className="grid gap-x-1.5 gap-y-2 sm:auto-cols-fr sm:grid-flow-col">
      {steps.map(({ phase, state, startedAt, finishedAt, usual }) => {
        const Icon = icons[state]
        return (
          <li key={`${phase} ${startedAt ?? ''}`} aria-current={state === 'now' ? 'step' : undefined} className="min-w-0">
            <div className={cn('mb-1.5 h-1 rounded-full max-sm:hidden', bars[state])} aria-hidden />
            <div className="flex items-center gap-1.5 sm:items-start">
              <Icon className={cn('size-4 shrink-0 sm:mt-px', looks[state], state === 'now' && 'animate-spin [animation-duration:1.6s]')} aria-hidden />
              <div className="flex min-w-0 grow items-baseline justify-between gap-2 sm:block">
                <p className={cn('text-sm leading-snug', state === 'ahead' ? 'text-muted' : 'font-medium')}>
                  {phaseWord(phase)}
                  <span className="sr-only">, {words[state]}</span>
                </p>
                <p className="text-xs text-muted">
                  {startedAt ? <Elapsed from={startedAt} to={finishedAt} /> : usual === undefined ? '' : `about ${duration(usual)}`}
                </p>
              </div>
            </div>
          </li>
        )
      })}
    </ol>
  )
}

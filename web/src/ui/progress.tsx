import { cn } from './cn'
import { type Tone, solid } from './tone'

/** How far something is, 0 to 100. */
export function Progress({ value, label, tone = 'busy', className }: { value: number; label: string; tone?: Tone; className?: string }) {
  return (
    <div
      role="progressbar"
      aria-label={label}
      aria-valuenow={Math.round(value)}
      aria-valuemin={0}
      aria-valuemax={100}
      className={cn('h-1.5 overflow-hidden rounded-full bg-sunken', className)}
    >
      <div className={cn('h-full rounded-full transition-[width] duration-500', solid[tone])} style={{ width: `${value}%` }} />
    </div>
  )
}

// One line of a log.
import { memo, type ReactNode } from 'react'
import { cn } from '@/ui/cn'
import { parts } from './ansi'
import type { Line } from './store'

/** Pixels; a wrapped line is so many of them high as it has rows. */
export const ROW = 20

const COLOURS = ['text-muted', 'text-bad', 'text-good', 'text-warn', 'text-busy', 'text-ansi-magenta', 'text-ansi-cyan', 'text-text']
export const NUMBER = 'w-14 shrink-0 pr-3 text-right text-xs leading-5 text-muted tabular select-none max-sm:w-11 max-sm:pr-2'
export const SOURCE = 'w-28 shrink-0 truncate pr-3 text-muted select-none max-sm:hidden'
export const TEXT = 'border-l-2 pl-2.5'
/** Spaces at the end of a row take room as letters do: the rows can be counted. */
export const WRAPPED = 'min-w-0 grow [white-space:break-spaces] break-all'

interface Props {
  line: Line
  top: number
  /** Rows, when long lines are wrapped. */
  rows?: number
  chosen: boolean
  choose(line: number): void
  /** Who printed it; empty when that was said above, nothing when there is only one. */
  source?: string
  /** What is searched for. */
  marked: string
}

export const Row = memo(
  ({ line, top, rows, chosen, choose, source, marked }: Props) => (
    <div
      className={cn('absolute left-0 flex pr-4 leading-5', rows === undefined ? 'min-w-full whitespace-pre' : 'w-full overflow-hidden', chosen && 'bg-accent-soft')}
      style={{ top, height: (rows ?? 1) * ROW }}
      data-stream={line.stream}
    >
      <a
        href={`#L${line.number}`}
        tabIndex={-1}
        aria-label={`Line ${line.number}`}
        onClick={(event) => {
          event.preventDefault()
          choose(line.number)
        }}
        className={cn(NUMBER, 'hover:text-accent')}
      >
        {line.number}
      </a>
      {source === undefined ? null : <span className={SOURCE}>{source}</span>}
      <span
        className={cn(TEXT, rows !== undefined && WRAPPED, line.stream === 'stderr' ? 'border-warn' : 'border-transparent', line.stream === 'plimsoll' && 'text-accent')}
      >
        {parts(line.text).map((part, index) => (
          <span
            // The parts of a line never change their order.
            // oxlint-disable-next-line react/no-array-index-key
            key={index}
            className={cn(part.colour !== undefined && COLOURS[part.colour], part.bold && 'font-semibold', part.dim && 'text-muted')}
          >
            {marked === '' ? part.text : withMarks(part.text, marked)}
          </span>
        ))}
      </span>
    </div>
  ),
  // A line never changes; its place in the list does.
  (a, b) =>
    a.line.number === b.line.number &&
    a.top === b.top &&
    a.rows === b.rows &&
    a.chosen === b.chosen &&
    a.source === b.source &&
    a.marked === b.marked &&
    a.choose === b.choose,
)

/** The text with what is searched for on a ground of its own. `marked` is in small letters. */
function withMarks(text: string, marked: string): ReactNode {
  const found: ReactNode[] = []
  const small = text.toLowerCase()
  let from = 0
  // Small letters of some languages are more or fewer than their capitals: then nothing is marked rather than the wrong thing.
  for (let at = small.length === text.length ? small.indexOf(marked) : -1; at >= 0; at = small.indexOf(marked, from)) {
    const end = at + marked.length
    found.push(
      text.slice(from, at),
      <mark key={at} className="rounded-xs bg-warn-line text-text">
        {text.slice(at, end)}
      </mark>,
    )
    from = end
  }
  return found.length === 0 ? text : [...found, text.slice(from)]
}

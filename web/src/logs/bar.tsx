// What can be done with a log: search, levels, wrapping, the whole of it as a file.
import { ArrowDown, ArrowUp, Download, Maximize2, Minimize2, WrapText } from 'lucide-react'
import { type KeyboardEvent, type ReactNode, useEffect, useRef, useState } from 'react'
import { Button, looks } from '@/ui/button'
import { cn } from '@/ui/cn'
import { number, plural } from '@/ui/format'
import type { Wanted } from './levels'
import type { LogState } from './use-output'

interface Props {
  state: LogState
  /** All lines, and those that are shown. */
  count: number
  shown: number
  /** Of the first lines: not kept. */
  gone: number
  query: string
  setQuery(query: string): void
  hits: { count: number; complete: boolean; at?: number }
  step(by: 1 | -1): void
  wanted: Wanted
  setWanted(wanted: Wanted): void
  wrap: boolean
  setWrap(wrap: boolean): void
  large: boolean
  setLarge(large: boolean): void
  /** Where the whole log is as a file. */
  download?: string
  children?: ReactNode
}

const small = 'touch h-8 rounded-md border border-edge bg-surface px-2 text-sm text-text placeholder:text-muted hover:border-text/60 max-sm:text-lg'

export function Bar(props: Props) {
  const { state, count, shown, gone, query, setQuery, hits, step, wanted, setWanted, wrap, setWrap, large, setLarge, download, children } = props
  const keys = (event: KeyboardEvent) => {
    if (event.key === 'Enter') step(event.shiftKey ? -1 : 1)
    else if (event.key === 'Escape' && query !== '') setQuery('')
    else return
    event.preventDefault()
    event.stopPropagation()
  }
  return (
    <div className="flex min-h-10 flex-wrap items-center gap-2 border-y border-line bg-surface px-3 py-1.5 text-sm text-muted">
      <Said state={state} count={count} shown={shown} gone={gone} />
      <span className="grow" />
      {children}
      <span role="search" className="flex items-center gap-0.5">
        <input
          type="search"
          aria-label="Search in the log"
          placeholder="Search"
          autoComplete="off"
          spellCheck={false}
          value={query}
          onChange={(event) => setQuery(event.target.value)}
          onKeyDown={keys}
          className={cn(small, 'w-40 max-sm:w-32')}
        />
        {query === '' ? null : (
          <>
            <span role="status" className="px-1.5 whitespace-nowrap tabular">
              {hits.count === 0 ? (hits.complete ? 'not found' : 'searching') : `${hits.at === undefined ? '' : `${number(hits.at + 1)} of `}${number(hits.count)}`}
            </span>
            <Button look="quiet" size="icon" aria-label="Previous match" disabledReason={hits.count === 0 ? 'Nothing was found' : undefined} onClick={() => step(-1)}>
              <ArrowUp aria-hidden />
            </Button>
            <Button look="quiet" size="icon" aria-label="Next match" disabledReason={hits.count === 0 ? 'Nothing was found' : undefined} onClick={() => step(1)}>
              <ArrowDown aria-hidden />
            </Button>
          </>
        )}
      </span>
      <select aria-label="Lines to show" value={wanted} onChange={(event) => setWanted(event.target.value as Wanted)} className={small}>
        <option value="all">All lines</option>
        <option value="warnings">Warnings and errors</option>
        <option value="errors">Errors</option>
      </select>
      <span className="flex items-center">
        <Button look="quiet" size="icon" aria-label="Wrap long lines" aria-pressed={wrap} onClick={() => setWrap(!wrap)} className={cn(wrap && 'bg-accent-soft text-accent')}>
          <WrapText aria-hidden />
        </Button>
        {download ? (
          // The server sends it as a file to be saved: the page is not left.
          <a href={download} download aria-label="Download the whole log" className={looks({ look: 'quiet', size: 'icon' })}>
            <Download aria-hidden />
          </a>
        ) : null}
        <Button look="quiet" size="icon" aria-pressed={large} onClick={() => setLarge(!large)} aria-label={large ? 'Small log' : 'Large log'}>
          {large ? <Minimize2 aria-hidden /> : <Maximize2 aria-hidden />}
        </Button>
      </span>
    </div>
  )
}

/** How many lines and whether more come; said to who hears the page each five seconds at most. */
function Said({ state, count, shown, gone }: Pick<Props, 'state' | 'count' | 'shown' | 'gone'>) {
  const word =
    typeof state === 'object'
      ? 'This log can’t be read'
      : { connecting: 'Connecting', live: 'Live', waiting: 'Offline: it goes on by itself', complete: 'Complete' }[state]
  const lines = shown === count ? plural(count, 'line') : `${number(shown)} of ${plural(count, 'line')}`
  const text = `${word} · ${lines}${gone > 0 ? ` · the first ${number(gone)} are not kept here` : ''}`
  const [said, setSaid] = useState(text)
  const latest = useRef(text)
  useEffect(() => {
    latest.current = text
  }, [text])
  useEffect(() => {
    const timer = setInterval(() => setSaid(latest.current), 5000)
    return () => clearInterval(timer)
  }, [])
  return (
    <>
      <span className="tabular" aria-hidden>
        {text}
      </span>
      <span className="sr-only" aria-live="polite">
        {said}
      </span>
    </>
  )
}

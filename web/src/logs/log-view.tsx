// Shows a log of any length: only the lines in sight are in the page.
import { ArrowDownToLine, ChevronDown, ChevronUp } from 'lucide-react'
import { type ReactNode, useCallback, useDeferredValue, useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore } from 'react'
import { Button } from '@/ui/button'
import { cn } from '@/ui/cn'
import { number } from '@/ui/format'
import { Bar } from './bar'
import { type Wanted, isWanted } from './levels'
import { NUMBER, ROW, Row, SOURCE, TEXT, WRAPPED } from './row'
import { type Found, Scan, firstAt } from './scan'
import type { LogStore } from './store'
import type { Before, LogState } from './use-output'
import { Wrapped } from './wrap'

/** Lines above and below those in sight, so that a turn of the wheel shows no gap. */
const AROUND = 20
/** Browsers clamp an element's height at some 33 million pixels: what is longer is shown in pieces. */
const SEGMENT = { plain: 500_000, wrapped: 100_000 }

interface Props {
  store: LogStore
  state: LogState
  label: string
  /** What to say while there is no line. */
  empty: ReactNode
  /** Where the whole log is as a file. */
  download?: string
  /** Lines that are not here yet, before the first. */
  before?: Before
  className?: string
}

export function LogView({ store, state, label, empty, download, before, className }: Props) {
  const { count } = useSyncExternalStore(store.subscribe, store.snapshot)
  // Of the store itself: its lines are read from there, too.
  const { era } = store
  const box = useRef<HTMLDivElement>(null)
  const [{ top, height }, setView] = useState({ top: 0, height: 400 })
  const [following, setFollowing] = useState(true)
  const [large, setLarge] = useState(false)
  const [chosen, setChosen] = useState<number | undefined>(() => lineOf(location.hash))
  const [chosenBase, setBase] = useState(0)
  const [wanted, setWanted] = useState<Wanted>('all')
  const [wrap, setWrap] = useState(false)
  const [query, setQuery] = useState('')
  const [hit, setHit] = useState<number>()
  const lastTop = useRef(0)
  const { probe, columns } = useColumns(wrap)

  const marked = useDeferredValue(query.trim().toLowerCase())
  // With another era all is looked through anew: what was found is at other places then.
  const filter = useMemo(() => (wanted === 'all' || era < 0 ? undefined : new Scan(store, (text) => isWanted(text, wanted))), [store, wanted, era])
  const search = useMemo(
    () => (marked === '' || era < 0 ? undefined : new Scan(store, (text) => text.toLowerCase().includes(marked) && isWanted(text, wanted))),
    [store, marked, wanted, era],
  )
  const kept = useFound(filter)
  const hits = useFound(search)

  // From here on a *place* is one in the list of lines that are shown, an *index* one in the store.
  const total = filter ? kept.count : count
  const indexAt = useCallback((place: number) => (filter ? (filter.line(place) ?? -1) : place), [filter])
  const placeOf = useCallback((index: number) => (filter ? firstAt(kept.lines, kept.count, index) : index), [filter, kept])

  const segment = wrap ? SEGMENT.wrapped : SEGMENT.plain
  const lastBase = Math.floor(Math.max(0, total - 1) / segment) * segment
  const base = following ? lastBase : Math.min(chosenBase, lastBase)
  const shown = Math.min(segment, total - base)
  const wrapped = useMemo(
    () => (wrap && era >= 0 ? new Wrapped(columns, (at) => store.text(indexAt(base + at))) : undefined),
    [wrap, columns, store, indexAt, base, era],
  )
  const topOf = (at: number) => (wrapped ? wrapped.before(at) : at) * ROW
  const rowAt = (pixel: number) => (wrapped ? wrapped.lineAt(Math.floor(pixel / ROW), shown) : Math.floor(pixel / ROW))
  const first = Math.max(0, rowAt(top) - AROUND)
  const last = Math.min(shown, rowAt(top + height) + 1 + AROUND)

  // A link to a line stops following: somebody wants to see just this one.
  const [goal, setGoal] = useState<number>()
  const jump = useCallback(
    (place: number) => {
      setFollowing(false)
      setBase(Math.floor(place / segment) * segment)
      setGoal(place)
    },
    [segment],
  )
  // When the lines around it are laid out.
  useLayoutEffect(() => {
    if (goal === undefined) return
    setGoal(undefined)
    box.current?.scrollTo({ top: topOf(Math.max(0, goal - base)) - 4 * ROW })
    lastTop.current = box.current?.scrollTop ?? 0
    // oxlint-disable-next-line react/exhaustive-deps
  }, [goal])
  const asked = useRef(chosen !== undefined)
  const missing = before !== undefined && chosen !== undefined && chosen < store.first
  useEffect(() => {
    if (!asked.current || chosen === undefined || store.last < chosen || missing) return
    asked.current = false
    jump(placeOf(store.find(chosen)))
  }, [chosen, count, jump, missing, placeOf, store])

  // Whoever looks for something, or for the beginning, wants what came before, too.
  const wantsAll = before !== undefined && !before.loading && !before.failed && (marked !== '' || wanted !== 'all' || missing)
  const load = before?.load
  useEffect(() => {
    if (wantsAll) load?.()
  }, [wantsAll, load])
  // What was in sight stays in sight when lines come before it.
  const inSight = useRef({ era, number: 0 })
  useLayoutEffect(() => {
    const { era: then, number: held } = inSight.current
    const moved = then !== era && held > 0
    inSight.current = { era, number: store.line(indexAt(base + rowAt(top)))?.number ?? 0 }
    if (!moved) return
    setHit(undefined)
    if (!following) {
      const place = placeOf(store.find(held))
      setBase(Math.floor(place / segment) * segment)
      setGoal(place + 4)
    }
    // oxlint-disable-next-line react/exhaustive-deps
  }, [era, top, count, following])

  useLayoutEffect(() => {
    if (!following || asked.current) return
    const element = box.current
    if (!element) return
    element.scrollTop = element.scrollHeight
    lastTop.current = element.scrollTop
  }, [total, following, base, large, wrapped])

  useEffect(() => {
    const element = box.current
    if (!element) return
    const observer = new ResizeObserver(() => setView((before) => ({ ...before, height: element.clientHeight })))
    observer.observe(element)
    return () => observer.disconnect()
  }, [])

  const scrolled = () => {
    const element = box.current
    if (!element) return
    const atEnd = element.scrollTop + element.clientHeight >= element.scrollHeight - ROW
    // Up stops following, down to the end begins it again; a window that grows does neither.
    if (element.scrollTop < lastTop.current - 1 && !atEnd) {
      setBase(base)
      setFollowing(false)
    } else if (atEnd && element.scrollTop > lastTop.current && base + shown >= total) setFollowing(true)
    // At the beginning of what is here, and somebody goes on upwards.
    if (base === 0 && element.scrollTop < 10 * ROW && element.scrollTop < lastTop.current && before && !before.loading && !before.failed) before.load()
    lastTop.current = element.scrollTop
    setView({ top: element.scrollTop, height: element.clientHeight })
  }

  const choose = useCallback((line: number) => {
    setChosen(line)
    history.replaceState(history.state, '', `#L${line}`)
  }, [])

  const step = (by: 1 | -1) => {
    if (hits.count === 0) return
    // The first step goes to what follows the first line in sight.
    const next = hit === undefined ? firstAt(hits.lines, hits.count, indexAt(base + rowAt(top))) - (by === 1 ? 0 : 1) : hit + by
    const to = (next + hits.count) % hits.count
    const index = hits.lines[to]
    if (index === undefined) return
    setHit(to)
    setChosen(store.line(index)?.number)
    jump(placeOf(index))
  }

  const rows: ReactNode[] = []
  for (let at = first; at < last; at += 1) {
    const line = store.line(indexAt(base + at))
    if (!line) continue
    // Said where it changes, and at the first line of what is in the page.
    const same = at > first && store.line(indexAt(base + at - 1))?.source === line.source
    rows.push(
      <Row
        key={line.number}
        line={line}
        top={topOf(at)}
        rows={wrapped && wrapped.before(at + 1) - wrapped.before(at)}
        chosen={line.number === chosen}
        choose={choose}
        source={store.sources > 1 ? (same ? '' : line.source.replaceAll('_', ' ')) : undefined}
        marked={marked}
      />,
    )
  }

  return (
    <div className={cn('flex flex-col overflow-hidden', large && 'fixed inset-0 z-30 bg-surface', className)}>
      <Bar
        state={state}
        count={count}
        shown={total}
        gone={store.gone}
        query={query}
        setQuery={(next) => {
          setQuery(next)
          setHit(undefined)
        }}
        hits={{ count: hits.count, complete: hits.complete, at: hit }}
        step={step}
        wanted={wanted}
        setWanted={(next) => {
          setWanted(next)
          setHit(undefined)
          setBase(0)
          box.current?.scrollTo({ top: 0 })
        }}
        wrap={wrap}
        setWrap={setWrap}
        large={large}
        setLarge={setLarge}
        download={download}
      >
        {before ? (
          <Button look="quiet" size="sm" busy={before.loading} onClick={before.load}>
            {before.loading ? null : <ChevronUp aria-hidden />} {before.failed ? 'Not loaded. Try again: ' : ''}
            {number(before.count)} earlier {before.count === 1 ? 'line' : 'lines'}
          </Button>
        ) : null}
        {base > 0 ? (
          <Button look="quiet" size="sm" onClick={() => jump(base - segment)}>
            <ChevronUp aria-hidden /> Earlier lines
          </Button>
        ) : null}
        {base + segment < total ? (
          <Button look="quiet" size="sm" onClick={() => jump(base + segment)}>
            <ChevronDown aria-hidden /> Later lines
          </Button>
        ) : null}
        {following ? null : (
          <Button size="sm" onClick={() => setFollowing(true)}>
            <ArrowDownToLine aria-hidden /> To the end
          </Button>
        )}
      </Bar>
      <div
        ref={box}
        role="log"
        aria-label={label}
        // So many lines can't be read out; how many there are is said above, now and then.
        aria-live="off"
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        tabIndex={0}
        onScroll={scrolled}
        className={cn(
          'relative overflow-y-auto overscroll-contain bg-log py-2 font-mono text-sm -outline-offset-2',
          wrap ? 'overflow-x-hidden' : 'overflow-x-auto',
          large ? 'grow' : 'max-h-[min(34rem,65dvh)] min-h-40',
        )}
      >
        {count === 0 ? <div className="p-4 font-sans text-base text-muted">{empty}</div> : null}
        {count > 0 && total === 0 ? (
          <div className="p-4 font-sans text-base text-muted">{kept.complete ? 'No line of this kind.' : 'Looking through the lines.'}</div>
        ) : null}
        <div className="relative min-w-full" style={{ height: topOf(shown) }}>
          {wrap ? (
            <div aria-hidden className="invisible absolute flex w-full pr-4">
              <span className={NUMBER} />
              {store.sources > 1 ? <span className={SOURCE} /> : null}
              <span ref={probe} className={cn(TEXT, WRAPPED)}>
                <span>{'0'.repeat(10)}</span>
              </span>
            </div>
          ) : null}
          {rows}
        </div>
      </div>
    </div>
  )
}

const NOTHING: Found = { lines: [], count: 0, complete: true }
const silent = () => () => {}

function useFound(scan: Scan | undefined): Found {
  return useSyncExternalStore(scan?.subscribe ?? silent, scan?.snapshot ?? (() => NOTHING))
}

/** How many letters a row holds: one row is laid out and measured, and again when the window changes. */
function useColumns(wrap: boolean) {
  const probe = useRef<HTMLSpanElement>(null)
  const [columns, setColumns] = useState(120)
  useLayoutEffect(() => {
    const element = probe.current
    const letters = element?.firstElementChild
    if (!wrap || !element || !letters) return
    const measure = () => {
      const style = getComputedStyle(element)
      const room = element.clientWidth - Number.parseFloat(style.paddingLeft) - Number.parseFloat(style.paddingRight)
      const width = letters.getBoundingClientRect().width / 10
      if (width > 0 && room > 0) setColumns(Math.max(1, Math.floor(room / width + 0.01)))
    }
    measure()
    const observer = new ResizeObserver(measure)
    observer.observe(element)
    return () => observer.disconnect()
  }, [wrap])
  return { probe, columns }
}

/** `#L120` is line 120. */
export function lineOf(hash: string): number | undefined {
  const found = /^#L(\d{1,9})$/.exec(hash)
  return found ? Number(found[1]) : undefined
}

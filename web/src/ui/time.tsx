import { useSyncExternalStore } from 'react'
import { usePreferences } from '@/preferences'
import { duration, exact, relative } from './format'
import { Tooltip } from './tooltip'

// One clock for all times on the page, so that they change together and cost one timer.
const listeners = new Set<() => void>()
let now = Date.now()
let timer: ReturnType<typeof setInterval> | undefined

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  now = Date.now()
  timer ??= setInterval(() => {
    now = Date.now()
    for (const each of listeners) each()
  }, 1000)
  return () => {
    listeners.delete(listener)
    if (listeners.size === 0) {
      clearInterval(timer)
      timer = undefined
    }
  }
}

/** The time, each second. */
export const useNow = () => useSyncExternalStore(subscribe, () => now)

interface Props {
  at: string
  className?: string
  /** The instant itself instead of how long ago it was. */
  absolute?: boolean
}

/** How long ago, or until when; the exact instant with its zone on hover and on focus. */
export function Time({ at, className, absolute }: Props) {
  const text = useSyncExternalStore(subscribe, () => relative(Date.parse(at), now))
  const { zone } = usePreferences()
  const instant = exact(at, zone)
  return (
    <Tooltip text={absolute ? text : instant}>
      {/* What a tooltip tells must be reachable with the keyboard. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <time dateTime={at} title={instant} tabIndex={0} className={`whitespace-nowrap tabular ${className ?? ''}`}>
        {absolute ? instant : text}
      </time>
    </Tooltip>
  )
}

/** How long something took, or has been taking. */
export function Elapsed({ from, to, className }: { from: string; to?: string | null; className?: string }) {
  const end = useSyncExternalStore(subscribe, () => (to ? 0 : Math.floor(now / 1000)))
  const until = to ? Date.parse(to) : end * 1000
  return <span className={`tabular ${className ?? ''}`}>{duration(Math.max(0, until - Date.parse(from)))}</span>
}

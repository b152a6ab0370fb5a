// The lines of a log for which something holds, in its order; found beside everything else, however long the log is.
import type { LogStore } from './store'

/** Longest piece of work at a time: a frame has 16 ms, and is not all ours. */
const SLICE = 8
/** Lines between two looks at the clock. */
const AT_ONCE = 500

export interface Found {
  /** Indexes into the store, ascending. Grows, and is never written to otherwise. */
  readonly lines: readonly number[]
  readonly count: number
  /** Every line that the store has was looked at. */
  readonly complete: boolean
}

const NOTHING: Found = { lines: [], count: 0, complete: false }

export class Scan {
  readonly #lines: number[] = []
  #next = 0
  #found: Found = NOTHING
  readonly #listeners = new Set<() => void>()
  #timer: ReturnType<typeof setTimeout> | undefined
  #leave: (() => void) | undefined

  constructor(
    readonly store: LogStore,
    readonly holds: (text: string) => boolean,
  ) {}

  /** For `useSyncExternalStore`. It works while somebody listens. */
  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    this.#leave ??= this.store.subscribe(() => this.#soon())
    this.#soon()
    return () => {
      this.#listeners.delete(listener)
      if (this.#listeners.size > 0) return
      this.#leave?.()
      this.#leave = undefined
      clearTimeout(this.#timer)
      this.#timer = undefined
    }
  }

  snapshot = (): Found => this.#found

  /** The index of the nth line that was found. */
  line(at: number): number | undefined {
    return this.#lines[at]
  }

  #soon(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      this.#slice()
    })
  }

  #slice(): void {
    const until = performance.now() + SLICE
    const before = this.#lines.length
    while (this.#next < this.store.count && performance.now() < until) {
      const end = Math.min(this.store.count, this.#next + AT_ONCE)
      for (; this.#next < end; this.#next += 1) {
        if (this.holds(this.store.text(this.#next))) this.#lines.push(this.#next)
      }
    }
    const complete = this.#next >= this.store.count
    if (!complete) this.#soon()
    if (this.#lines.length === before && complete === this.#found.complete) return
    this.#found = { lines: this.#lines, count: this.#lines.length, complete }
    for (const listener of this.#listeners) listener()
  }
}

/** Where in an ascending list the first number is that is not below `value`. */
export function firstAt(list: readonly number[], count: number, value: number): number {
  let from = 0
  let to = count
  while (from < to) {
    const middle = Math.floor((from + to) / 2)
    if ((list[middle] ?? 0) < value) from = middle + 1
    else to = middle
  }
  return from
}

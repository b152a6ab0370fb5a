// A log of the server as a store, live until it ends: its end is there at once, and what came before it when somebody wants it.
import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { useQueryClient } from '@tanstack/react-query'
import { api, data } from '@/api/client'
import { ApiError } from '@/api/errors'
import { tail } from '@/api/queries'
import type { LogPage, LogsBatch, OutputBatch } from '@/api/schema'
import { backoff, follow } from '@/realtime/sse'
import { followTopic } from '@/realtime/topic'
import { LogStore } from './store'

export type LogState = 'connecting' | 'live' | 'waiting' | 'complete' | { error: unknown }

export interface Log {
  store: LogStore
  state: LogState
  /** Lines before the first that is here. */
  before?: Before
}

export interface Before {
  count: number
  loading: boolean
  /** They did not come: they are asked for again when somebody says so. */
  failed: boolean
  load(): void
}

/** Lines of instances that are asked for at first. */
const TAIL = 500
/** So few before them are asked for unasked: one search, one look at the beginning is as good as sure. */
const FEW = 5000
/** Of instances, which print for as long as they run: some 200 MB. */
const MOST = 1_000_000

/** What a deployment prints. `live` while it may print more. */
export function useOutput(deployment: string, live: boolean): Log {
  const client = useQueryClient()
  const log = useMemo(() => ({ deployment, store: new LogStore() }), [deployment])
  const [{ of, state }, setState] = useState<{ of: object; state: LogState }>({ of: log, state: 'connecting' })
  const [loading, setLoading] = useState(false)
  const [failed, setFailed] = useState(false)
  const older = useRef<AbortController>(undefined)

  const load = useCallback(() => {
    const { store } = log
    if (older.current || store.first <= 1) return
    const controller = new AbortController()
    older.current = controller
    setLoading(true)
    setFailed(false)
    void history(deployment, store.first, controller.signal).then((found) => {
      older.current = undefined
      if (controller.signal.aborted) return
      setLoading(false)
      if (found) store.prepend(found)
      else setFailed(true)
    })
  }, [deployment, log])
  useEffect(
    () => () => {
      older.current?.abort()
      older.current = undefined
      setLoading(false)
      setFailed(false)
    },
    [log],
  )

  useEffect(() => {
    const controller = new AbortController()
    const { store } = log
    const now = (next: LogState) => setState({ of: log, state: next })
    const read = () => client.fetchQuery(tail(deployment))
    let leave: (() => void) | undefined
    // The end of it is read once; when a deployment goes on, it is followed from where it stood.
    const first: Promise<LogPage | undefined> = store.count > 0 ? Promise.resolve(undefined) : patiently(read, controller.signal, () => now('waiting'))
    first.then(
      (page) => {
        if (controller.signal.aborted) return
        for (const line of page?.lines ?? []) store.append(line)
        if (store.first > 1 && store.first <= FEW) load()
        leave = followTopic(`dep:${deployment}:log`, {
          after: String(Math.max(0, store.last)),
          onState: (next) => now(next === 'connected' ? 'live' : next),
          onMessage: (batch) => store.appendOutput(batch as OutputBatch),
          onEnd: (ending) => now(ending.why === 'refused' ? { error: ending.error } : 'complete'),
        })
      },
      (error: unknown) => {
        if (!controller.signal.aborted) now({ error })
      },
    )
    return () => {
      controller.abort()
      leave?.()
    }
  }, [client, log, deployment, live, load])

  const { store } = log
  const count = Math.max(0, store.first - 1)
  return { store, state: of === log ? state : 'connecting', before: count > 0 ? { count, loading, failed, load } : undefined }
}

/** What the instances of an environment print: the newest lines, and those that come. */
export function useLogs(app: string, environment: string): Log {
  const log = useMemo(() => ({ app, environment, store: new LogStore(MOST) }), [app, environment])
  const [{ of, state }, setState] = useState<{ of: object; state: LogState }>({ of: log, state: 'connecting' })
  useEffect(() => {
    const controller = new AbortController()
    const { store } = log
    const now = (next: LogState) => setState({ of: log, state: next })
    const read = (signal: AbortSignal) =>
      data(
        api.GET('/api/v1/apps/{app}/environments/{environment}/logs', {
          params: { path: { app, environment }, query: { limit: TAIL } },
          signal,
        }),
      )
    let leave: (() => void) | undefined
    patiently(read, controller.signal, () => now('waiting')).then(
      ({ lines, cursor }) => {
        if (controller.signal.aborted) return
        for (const line of lines) store.appendOf(line)
        leave = followTopic(`env:${app}/${environment}:log`, {
          after: cursor,
          onState: (next) => now(next === 'connected' ? 'live' : next),
          onMessage: (batch) => store.appendLogs(batch as LogsBatch),
          onEnd: (ending) => now(ending.why === 'refused' ? { error: ending.error } : 'complete'),
        })
      },
      (error: unknown) => {
        if (!controller.signal.aborted) now({ error })
      },
    )
    return () => {
      controller.abort()
      leave?.()
    }
  }, [log, app, environment])
  return { store: log.store, state: of === log ? state : 'connecting' }
}

/** Asks until there is an answer; what is refused stays refused. */
async function patiently<T>(ask: (signal: AbortSignal) => Promise<T>, signal: AbortSignal, waiting: () => void): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask(signal)
    } catch (error) {
      if (signal.aborted || (error instanceof ApiError && error.status < 500)) throw error
    }
    waiting()
    await new Promise((resolve) => setTimeout(resolve, backoff(attempt, Math.random())))
    if (signal.aborted) throw new DOMException('aborted', 'AbortError')
  }
}

/** All lines before this number, by a connection that ends with them: one of its own, as it runs as fast as it is read. */
async function history(deployment: string, until: number, signal: AbortSignal): Promise<LogStore | undefined> {
  const store = new LogStore()
  const enough = new AbortController()
  const stop = () => enough.abort()
  signal.addEventListener('abort', stop, { once: true })
  await follow({
    path: `/api/v1/stream?topics=${encodeURIComponent(`dep:${deployment}:log@0`)}`,
    signal: enough.signal,
    onMessage: ({ event, data: text }) => {
      if (event !== 'dep') return
      store.appendOutput(upTo(JSON.parse(text) as OutputBatch, until))
      if (store.last >= until - 1) stop()
    },
  })
  signal.removeEventListener('abort', stop)
  return store.last >= until - 1 ? store : undefined
}

/** The lines of a batch before a number. */
export function upTo(batch: OutputBatch, until: number): OutputBatch {
  let room = Math.max(0, Math.min(batch.lines.length, until - batch.from))
  const src = batch.src.flatMap((run) => {
    const count = Math.min(room, run.count)
    room -= count
    return count > 0 ? [{ ...run, count }] : []
  })
  return { ...batch, src }
}

export const outputFile = (deployment: string) => `/api/v1/deployments/${encodeURIComponent(deployment)}/output/file`

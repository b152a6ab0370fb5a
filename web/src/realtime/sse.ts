// A stream of server-sent events that comes back by itself. Over `fetch`, as `EventSource` tells no status.
import { createParser } from 'eventsource-parser'
import { problemOf } from '@/api/client'
import { ApiError, NetworkError } from '@/api/errors'
import type { Problem } from '@/api/schema'

export interface Message {
  id?: string
  event?: string
  data: string
}

export type StreamState = 'connecting' | 'connected' | 'waiting'

/** Why a stream does not come back. `aborted` was our own wish. */
export type Ending = { why: 'complete' } | { why: 'aborted' } | { why: 'refused'; error: unknown }

export interface Options {
  path: string
  signal: AbortSignal
  onMessage(message: Message): void
  /** `fresh` when it connects without an id: what happened before is not told. */
  onState?(state: StreamState, fresh: boolean): void
  /** Comes back after this message. */
  lastId?: string
  /** Random, 0 to 1: for tests. */
  random?(): number
}

/** The server sends a comment each 15 seconds. */
const IDLE = 45_000
const LONGEST_WAIT = 30_000
/** Nothing changes by asking again. */
export const FINAL = new Set([400, 401, 403, 404, 410])

/** How long to wait before the nth try, 1 at first: doubling, spread so that not all tabs come back together. */
export function backoff(attempt: number, random: number): number {
  const most = Math.min(LONGEST_WAIT, 500 * 2 ** Math.min(attempt - 1, 10))
  return most / 2 + (most / 2) * random
}

export async function follow(options: Options): Promise<Ending> {
  const { path, signal, onMessage, onState, random = Math.random } = options
  let lastId = options.lastId
  let attempt = 0
  while (!signal.aborted) {
    onState?.('connecting', lastId === undefined)
    try {
      const ended = await once(path, lastId, signal, {
        onOpen: () => {
          attempt = 0
          onState?.('connected', lastId === undefined)
        },
        onMessage: (message) => {
          if (message.id !== undefined) lastId = message.id
          onMessage(message)
        },
      })
      if (ended) return ended
    } catch {
      // The connection broke, or was idle for too long: come back.
    }
    if (signal.aborted) break
    attempt += 1
    onState?.('waiting', false)
    await pause(backoff(attempt, random()), signal)
  }
  return { why: 'aborted' }
}

interface Handlers {
  onOpen(): void
  onMessage(message: Message): void
}

/** One connection. Ends with nothing when it is worth coming back. */
async function once(path: string, lastId: string | undefined, signal: AbortSignal, on: Handlers) {
  const mine = new AbortController()
  const stop = () => mine.abort()
  signal.addEventListener('abort', stop, { once: true })
  let idle = setTimeout(stop, IDLE)
  try {
    const headers: Record<string, string> = { accept: 'text/event-stream' }
    if (lastId !== undefined) headers['last-event-id'] = lastId
    const response = await globalThis.fetch(path, { headers, signal: mine.signal, credentials: 'same-origin' })
    if (FINAL.has(response.status)) return { why: 'refused', error: await problemOf(response) } satisfies Ending
    if (!response.ok || !response.body) throw new NetworkError()
    on.onOpen()
    let ending: Ending | undefined
    const parser = createParser({
      onEvent: ({ id, event, data }) => {
        if (event === 'end') ending = endOf(data)
        else on.onMessage({ id, event, data })
      },
    })
    const reader = response.body.getReader()
    const decoder = new TextDecoder()
    // Set by the parser.
    // oxlint-disable-next-line no-unmodified-loop-condition
    while (!ending) {
      const { done, value } = await reader.read()
      if (done) return undefined
      clearTimeout(idle)
      idle = setTimeout(stop, IDLE)
      parser.feed(decoder.decode(value, { stream: true }))
    }
    await reader.cancel().catch(() => {})
    return ending
  } finally {
    clearTimeout(idle)
    signal.removeEventListener('abort', stop)
    mine.abort()
  }
}

function endOf(data: string): Ending {
  try {
    const end = JSON.parse(data) as { reason: string; problem?: Problem }
    if (end.reason === 'failed') return { why: 'refused', error: end.problem ? new ApiError(end.problem) : new NetworkError() }
  } catch {
    // An end is an end, whatever it says.
  }
  return { why: 'complete' }
}

/** Waits; less when the network or the reader comes back. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const over = new AbortController()
    const go = () => {
      clearTimeout(timer)
      over.abort()
      resolve()
    }
    const timer = setTimeout(go, ms)
    const once = { signal: over.signal }
    signal.addEventListener('abort', go, once)
    addEventListener('online', go, once)
    // A worker has no page.
    if (typeof document === 'undefined') return
    const page = document
    const seen = () => {
      if (page.visibilityState === 'visible') go()
    }
    page.addEventListener('visibilitychange', seen, once)
  })
}

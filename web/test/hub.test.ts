// The events of a page whose session ends: it goes on when the same person is signed in again, and never for another one.
import { QueryClient, QueryObserver } from '@tanstack/react-query'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { NetworkError, StrangeAnswer, explain, willPass } from '@/api/errors'
import type { Event } from '@/api/schema'
import { connection } from '@/realtime/connection'
import { followEvents } from '@/realtime/hub'
// It is loaded when it is needed, for which clocks that stand still would not wait.
import '@/realtime/line'
import { nowIs } from '@/realtime/tabs'

const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
const problem = (status: number) => json({ title: 'No', status, code: 'unauthenticated', detail: 'nobody is signed in' }, status)
/** Ends the stream that was opened last. */
let cut = () => {}
const events = (...cursors: number[]) => {
  const text = cursors.map((cursor) => `event: events\nid: e=${cursor}\ndata: ${JSON.stringify({ cursor, kind: 'token_created' })}\n\n`).join('')
  const body = new ReadableStream<Uint8Array>({
    start: (to) => {
      to.enqueue(new TextEncoder().encode(text))
      cut = () => to.close()
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}
/** What the server answers, in its order; the last one stays. */
let streams: (() => Response)[] = []
let persons: (() => Response)[] = []
let asked: string[] = []
const next = (answers: (() => Response)[]) => (answers.length > 1 ? answers.shift() : answers[0])?.()
let controller = new AbortController()

beforeEach(() => {
  vi.useFakeTimers()
  asked = []
  controller = new AbortController()
  nowIs('usr_ada')
  vi.stubGlobal('fetch', async (request: Request | string) => {
    const url = new URL(typeof request === 'string' ? request : request.url, 'http://x')
    asked.push(url.pathname)
    const answer = url.pathname === '/api/v1/me' ? next(persons) : next(streams)
    if (!answer) throw new TypeError('no network')
    return answer
  })
})
afterEach(async () => {
  controller.abort()
  await vi.advanceTimersByTimeAsync(100)
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function follow() {
  const client = new QueryClient({ defaultOptions: { queries: { retry: false, networkMode: 'always' } } })
  const heard: number[] = []
  const onOther = vi.fn<() => void>()
  followEvents(client, { signal: controller.signal, person: 'usr_ada', onOther, onEvent: ({ cursor }: Event) => heard.push(cursor) })
  return { client, heard, onOther }
}
const person = (principal: string) => () => json({ principal, name: principal, grants: {} })

it('goes on when the same person is signed in again', async () => {
  streams = [() => problem(401), () => events(1, 2)]
  persons = [person('usr_ada')]
  const { heard, onOther } = follow()
  await vi.advanceTimersByTimeAsync(100)
  expect(connection().state).toBe('signed_out')
  await vi.advanceTimersByTimeAsync(2000)
  expect([heard, connection().state]).toEqual([[1, 2], 'connected'])
  expect(onOther).not.toHaveBeenCalled()
})

it('follows nothing for somebody else', async () => {
  streams = [() => problem(401), () => events(1)]
  persons = [person('usr_bob')]
  const { heard, onOther } = follow()
  await vi.advanceTimersByTimeAsync(5000)
  expect(onOther).toHaveBeenCalledOnce()
  expect(heard).toEqual([])
})

it('asks no more while nobody is signed in', async () => {
  streams = [() => problem(401)]
  persons = [() => problem(401)]
  follow()
  await vi.advanceTimersByTimeAsync(120_000)
  expect(asked.filter((path) => path === '/api/v1/me')).toHaveLength(1)
  expect(connection().state).toBe('signed_out')
})

it('what is refused for another reason is not said to be a session that is over', async () => {
  streams = [() => json({ title: 'No', status: 400, code: 'invalid', detail: 'no such place' }, 400), () => events(7)]
  persons = [person('usr_ada')]
  const { heard } = follow()
  await vi.advanceTimersByTimeAsync(100)
  expect(connection().state).toBe('offline')
  await vi.advanceTimersByTimeAsync(2000)
  expect(heard).toEqual([7])
})

it('what failed is asked for again once the server answers', async () => {
  streams = [() => events(1)]
  persons = [person('usr_ada')]
  const { client } = follow()
  await vi.advanceTimersByTimeAsync(100)
  let answer = false
  const query = { queryKey: ['x'], queryFn: async () => (answer ? 'here' : Promise.reject(new NetworkError())), staleTime: Infinity }
  const observer = new QueryObserver(client, query)
  const leave = observer.subscribe(() => {})
  await vi.advanceTimersByTimeAsync(100)
  expect(observer.getCurrentResult().status).toBe('error')
  answer = true
  cut()
  await vi.advanceTimersByTimeAsync(2000)
  expect(observer.getCurrentResult().data).toBe('here')
  leave()
})

it('what is asked for the first time while it becomes old is asked for again', async () => {
  streams = [() => events(1)]
  persons = [person('usr_ada')]
  const { client } = follow()
  // The first look is still on its way when the event comes.
  const answers = ['before', 'after']
  const queryFn = vi.fn<() => Promise<string>>(async () => {
    const answer = answers.shift() ?? 'once more'
    await new Promise((resolve) => setTimeout(resolve, 1000))
    return answer
  })
  const observer = new QueryObserver(client, { queryKey: ['tokens'], queryFn, staleTime: Infinity })
  const leave = observer.subscribe(() => {})
  await vi.advanceTimersByTimeAsync(1100)
  expect(observer.getCurrentResult().data).toBe('before')
  await vi.advanceTimersByTimeAsync(5000)
  expect(observer.getCurrentResult().data).toBe('after')
  expect(queryFn).toHaveBeenCalledTimes(2)
  leave()
})

it('says what is true: only what shows something tries by itself', () => {
  expect(explain(new NetworkError()).hint).toContain('Sending it again is harmless')
  expect([502, 503, 504, 500, 404].map((status) => willPass(new StrangeAnswer(status)))).toEqual([true, true, true, false, false])
})

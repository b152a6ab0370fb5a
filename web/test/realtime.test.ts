import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { touched } from '@/realtime/hub'
import { type Message, backoff, follow } from '@/realtime/sse'

/** An answer that streams these pieces and then breaks off or ends. */
function stream(pieces: string[]): Response {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece))
      controller.close()
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

describe('a stream', () => {
  const asked: (string | null)[] = []
  const answers: Response[] = []
  beforeEach(() => {
    vi.useFakeTimers()
    vi.stubGlobal('fetch', async (_: string, init: RequestInit) => {
      asked.push(new Headers(init.headers).get('last-event-id'))
      const next = answers.shift()
      if (!next) throw new TypeError('no network')
      return next
    })
  })
  afterEach(() => {
    vi.useRealTimers()
    vi.unstubAllGlobals()
    asked.length = 0
    answers.length = 0
  })

  async function all(signal = new AbortController().signal) {
    const messages: Message[] = []
    const ending = follow({ path: '/s', signal, onMessage: (message) => messages.push(message), random: () => 1 })
    await vi.runAllTimersAsync()
    return { messages, ending: await ending }
  }

  it('comes back behind its last message, and stops at the end', async () => {
    answers.push(
      stream([': hello\n\nid: 7\nda', 'ta: a\n\nid: 8\ndata: b\n\n']),
      stream(['id: 9\ndata: c\n\nevent: end\ndata: {"reason":"complete"}\n\n', 'id: 10\ndata: never\n\n']),
    )
    const { messages, ending } = await all()
    expect(messages.map(({ data }) => data)).toEqual(['a', 'b', 'c'])
    expect(asked).toEqual([null, '8'])
    expect(ending).toEqual({ why: 'complete' })
  })

  it.each([401, 403, 404])('does not come back after %d', async (status) => {
    const detail = { title: 'x', status, code: 'forbidden', detail: 'no' }
    answers.push(new Response(JSON.stringify(detail), { status, headers: { 'content-type': 'application/problem+json' } }))
    const { ending } = await all()
    expect(ending).toMatchObject({ why: 'refused', error: { status } })
    expect(asked).toHaveLength(1)
  })

  it('ends when it is told to', async () => {
    const controller = new AbortController()
    setTimeout(() => controller.abort(), 60_000)
    const { ending } = await all(controller.signal)
    expect(ending).toEqual({ why: 'aborted' })
    // 0.5, 1, 2, 4, 8, 16 s and then each 30 s: no storm while the server is away.
    expect(asked.length).toBeLessThanOrEqual(8)
  })
})

it('waits longer each time, up to half a minute, and not in step with others', () => {
  expect([1, 2, 3, 7, 50].map((attempt) => backoff(attempt, 1))).toEqual([500, 1000, 2000, 30_000, 30_000])
  expect(backoff(3, 0)).toBe(1000)
})

it('an event makes old what it tells of', () => {
  const place = { app: 'shop', environment: 'production', deployment: 'dep_1' }
  expect(touched({ kind: 'phase_changed', ...place })).toContainEqual(['deployments', 'one', 'dep_1'])
  expect(touched({ kind: 'deployment_finished', ...place })).toEqual(
    expect.arrayContaining([['apps', 'one', 'shop'], ['environments', 'shop', 'production'], ['queue'], ['releases', 'shop']]),
  )
  expect(touched({ kind: 'variables_changed', ...place, deployment: undefined })).toEqual([['variables', 'shop', 'production']])
})

// One line for all that is followed: nothing is lost when it changes, and what is refused takes nothing else with it.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Listener, Line } from '@/realtime/line'
import { GONE, type Told } from '@/realtime/messages'
import { Exchange } from '@/realtime/shared'
import { earlier, keyOf, placesOf } from '@/realtime/topics'

/** A connection that stays open; what is written to it is told. */
class Connection {
  topics: string
  last: string | null
  aborted = false
  response: Response
  #to!: ReadableStreamDefaultController<Uint8Array>

  constructor(url: string, init: RequestInit) {
    this.topics = new URL(url, 'http://x').searchParams.get('topics') ?? ''
    this.last = new Headers(init.headers).get('last-event-id')
    const body = new ReadableStream<Uint8Array>({ start: (controller) => void (this.#to = controller) })
    init.signal?.addEventListener('abort', () => {
      this.aborted = true
      try {
        this.#to.error(new DOMException('aborted', 'AbortError'))
      } catch {
        // It was over.
      }
    })
    this.response = new Response(body, { headers: { 'content-type': 'text/event-stream' } })
  }

  end(): void {
    this.aborted = true
    this.#to.close()
  }

  async tell(event: string, data: unknown, id?: string): Promise<void> {
    this.#to.enqueue(new TextEncoder().encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n${id === undefined ? '' : `id: ${id}\n`}\n`))
    await settle()
  }
}

const settle = () => vi.advanceTimersByTimeAsync(30)
const opened: Connection[] = []
const refused = new Map<string, number>()
/** So many times several topics together are refused. */
let together = 0
/** The one that is open now. */
const current = () => opened.filter(({ aborted }) => !aborted).at(-1)

beforeEach(() => {
  vi.useFakeTimers()
  opened.length = 0
  refused.clear()
  together = 0
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const connection = new Connection(url, init)
    if (connection.topics.includes(',') && together > 0) {
      together -= 1
      const problem = { title: 'No', status: 401, code: 'unauthenticated', detail: 'nobody' }
      return new Response(JSON.stringify(problem), { status: 401, headers: { 'content-type': 'application/problem+json' } })
    }
    const no = [...refused].find(([topic]) => connection.topics.split(',').some((asked) => asked.startsWith(topic)))
    if (no) {
      const problem = { title: 'No', status: no[1], code: 'forbidden', detail: `not ${no[0]}` }
      return new Response(JSON.stringify(problem), { status: no[1], headers: { 'content-type': 'application/problem+json' } })
    }
    opened.push(connection)
    return connection.response
  })
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

function listener(topic: string, after?: string) {
  const heard: unknown[] = []
  const places: (string | undefined)[] = []
  const states: string[] = []
  const ends: string[] = []
  const on: Listener = {
    topic,
    after,
    onMessage: (data, place) => {
      heard.push(data)
      places.push(place)
    },
    onState: (state) => states.push(state),
    onEnd: ({ why }) => ends.push(why),
  }
  return { on, heard, places, states, ends }
}

describe('a line', () => {
  it('is opened once for what comes together, and goes on from where each topic is when another comes', async () => {
    const line = new Line()
    const events = listener('events')
    const output = listener('dep:dep_1:log', '7')
    line.add(events.on)
    line.add(output.on)
    await settle()
    expect(opened.map(({ topics }) => topics)).toEqual(['events,dep:dep_1:log@7'])
    await current()?.tell('open', { topics: [] }, 'e=40;dep_1=7')
    await current()?.tell('events', { cursor: 41 }, 'e=41;dep_1=7')
    await current()?.tell('dep', { dep: 'dep_1', from: 8, lines: ['a'] }, 'e=41;dep_1=8')
    expect([events.heard.length, output.heard.length, output.places]).toEqual([1, 1, ['8']])

    const logs = listener('env:shop/production:log', 'aa:3')
    line.add(logs.on)
    await settle()
    expect(opened.at(-1)?.topics).toBe('events@41,dep:dep_1:log@8,env:shop/production:log@aa:3')
    // Nobody who listened already was told of a break.
    expect(new Set(events.states)).toEqual(new Set(['connected']))
  })

  it('goes back for who is further behind, and no further than that', async () => {
    const line = new Line()
    line.add(listener('dep:dep_1:log', '100').on)
    await settle()
    await current()?.tell('open', { topics: [] }, 'dep_1=100')
    line.add(listener('dep:dep_1:log', '120').on)
    await settle()
    expect(opened).toHaveLength(1)
    line.add(listener('dep:dep_1:log', '60').on)
    await settle()
    expect(opened.at(-1)?.topics).toBe('dep:dep_1:log@60')
  })

  it('ends a topic that is over, and keeps the rest', async () => {
    const line = new Line()
    const events = listener('events')
    const output = listener('dep:dep_1:log', '0')
    line.add(events.on)
    line.add(output.on)
    await settle()
    await current()?.tell('over', { topic: 'dep:dep_1:log' }, 'e=4;dep_1=0')
    expect([output.ends, events.ends]).toEqual([['complete'], []])
    expect(opened).toHaveLength(1)
    await current()?.tell('events', { cursor: 5 }, 'e=5')
    expect(events.heard).toHaveLength(1)
  })

  it('finds out which topic is refused, and goes on without it', async () => {
    refused.set('dep:dep_2', 404)
    const line = new Line()
    const events = listener('events')
    const output = listener('dep:dep_2:log', '0')
    line.add(events.on)
    line.add(output.on)
    await settle()
    await settle()
    expect([output.ends, events.ends]).toEqual([['refused'], []])
    expect(current()?.topics).toBe('events')
  })

  it('is opened again when all were refused together and none is alone, but not for ever', async () => {
    const line = new Line()
    const events = listener('events')
    const notices = listener('notices')
    line.add(events.on)
    line.add(notices.on)
    // Somebody signs in again right after the line was refused.
    together = 2
    await vi.advanceTimersByTimeAsync(3000)
    expect([events.ends, notices.ends]).toEqual([[], []])
    expect(current()?.topics).toBe('events,notices')
    together = 100
    current()?.end()
    await vi.advanceTimersByTimeAsync(60_000)
    expect([events.ends, notices.ends]).toEqual([['refused'], ['refused']])
  })

  it('is closed when nobody listens', async () => {
    const line = new Line()
    const leave = line.add(listener('events').on)
    await settle()
    expect(current()).toBeDefined()
    leave()
    await settle()
    expect(current()).toBeUndefined()
  })
})

describe('what pages share', () => {
  const page = () => {
    const told: Told[] = []
    return { told, postMessage: (one: Told) => void told.push(one) }
  }

  it('is one connection for six of them, and each hears what it asked for', async () => {
    const exchange = new Exchange()
    const pages = Array.from({ length: 6 }, page)
    for (const [id, port] of pages.entries()) exchange.hear(port, { do: 'follow', id, topic: 'events' })
    await settle()
    expect(opened).toHaveLength(1)
    await current()?.tell('events', { cursor: 1 }, 'e=1')
    for (const [id, { told }] of pages.entries()) expect(told).toContainEqual({ is: 'message', id, data: { cursor: 1 }, place: '1' })
    for (const port of pages) exchange.hear(port, { do: 'bye' })
    await settle()
    expect(current()).toBeUndefined()
  })

  it('is a connection for each person: what is told to one is not told to who signs in next', async () => {
    const exchange = new Exchange()
    const [ada, bob] = [page(), page()]
    exchange.hear(ada, { do: 'follow', id: 1, topic: 'notices', person: 'usr_ada' })
    exchange.hear(bob, { do: 'follow', id: 1, topic: 'notices', person: 'usr_bob' })
    await settle()
    expect(opened).toHaveLength(2)
    await opened[0]?.tell('notices', { cursor: 1 }, 'n=1')
    expect([ada, bob].map(({ told }) => told.filter(({ is }) => is === 'message').length)).toEqual([1, 0])
  })

  it('answers a page that says that it is there, so that it knows when nobody does', () => {
    const exchange = new Exchange()
    const port = page()
    exchange.hear(port, { do: 'follow', id: 1, topic: 'events' })
    exchange.hear(port, { do: 'here' })
    expect(port.told.at(-1)).toEqual({ is: 'here' })
  })

  it('is not kept for a page that went without a word; one that comes back is told that it is a stranger', async () => {
    let now = 0
    const exchange = new Exchange(() => now)
    const [gone, stays] = [page(), page()]
    exchange.hear(gone, { do: 'follow', id: 1, topic: 'dep:dep_1:log', after: '0' })
    exchange.hear(stays, { do: 'follow', id: 1, topic: 'events' })
    await settle()
    now = GONE + 1
    exchange.hear(stays, { do: 'here' })
    exchange.hear(stays, { do: 'follow', id: 1, topic: 'events' })
    await settle()
    expect(current()?.topics).toMatch(/^events/)
    expect(current()?.topics).not.toContain('dep_1')
    exchange.hear(gone, { do: 'here' })
    expect(gone.told.at(-1)).toEqual({ is: 'stranger' })
  })
})

it('places are read out of ids, and the earlier of two is what both can go on from', () => {
  expect(placesOf('e=4;dep_1=9;shop/production=aa:3,bb:1')).toEqual(
    new Map([
      ['e', '4'],
      ['dep_1', '9'],
      ['shop/production', 'aa:3,bb:1'],
    ]),
  )
  expect(['events', 'notices', 'dep:dep_1:log', 'env:shop/production:log'].map(keyOf)).toEqual(['e', 'n', 'dep_1', 'shop/production'])
  expect([earlier('9', '10'), earlier('10', '9')]).toEqual(['9', '9'])
  expect(earlier('aa:3,bb:9', 'bb:4,cc:1')).toBe('bb:4')
  expect([earlier('aa:3', 'bb:4'), earlier('0', 'aa:3')]).toEqual(['0', '0'])
})

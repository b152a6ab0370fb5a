// A page follows through a worker that browsers may end without a word.
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { type Asked, SAYS_HERE, STARTS, type Told } from '@/realtime/messages'
import '@/realtime/line'

/** The worker's side: what it was asked, and whether it lives. */
let alive = true
let asked: Asked['do'][] = []
let tell: (told: Told) => void = () => {}
let closed = false
const fetched: string[] = []

class Worker {
  port = Object.assign(new EventTarget(), {
    start: () => {},
    close: () => void (closed = true),
    postMessage: (message: Asked) => {
      asked.push(message.do)
      if (alive && message.do === 'here') tell({ is: 'here' })
    },
  })
  constructor() {
    tell = (data) => void this.port.dispatchEvent(new MessageEvent('message', { data }))
  }
  addEventListener() {}
}

beforeEach(() => {
  vi.useFakeTimers()
  vi.resetModules()
  alive = true
  closed = false
  asked = []
  fetched.length = 0
  vi.stubGlobal('SharedWorker', Worker)
  vi.stubGlobal('fetch', (url: string) => {
    fetched.push(url)
    return new Promise(() => {})
  })
})
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllGlobals()
})

async function followed() {
  const { followTopic } = await import('@/realtime/topic')
  // It is loaded when it is needed, for which clocks that stand still would not wait.
  await import('@/realtime/line')
  const heard: unknown[] = []
  followTopic('events', { onMessage: (data) => heard.push(data) })
  return heard
}

it('stays with a worker that answers', async () => {
  const heard = await followed()
  await vi.advanceTimersByTimeAsync(10 * SAYS_HERE)
  tell({ is: 'message', id: 1, data: 'a', place: '7' })
  expect([heard, fetched, closed]).toEqual([['a'], [], false])
})

it('follows by itself, from where it was, when the worker does not answer any more', async () => {
  const heard = await followed()
  tell({ is: 'message', id: 1, data: 'a', place: '7' })
  alive = false
  await vi.advanceTimersByTimeAsync(3 * SAYS_HERE + 1000)
  expect(fetched).toEqual(['/api/v1/stream?topics=events%407'])
  // What it says after all is told by nobody twice.
  tell({ is: 'message', id: 1, data: 'b', place: '8' })
  expect([heard, closed, asked.at(-1)]).toEqual([['a'], true, 'bye'])
})

it('follows by itself when the worker never answers', async () => {
  alive = false
  await followed()
  await vi.advanceTimersByTimeAsync(STARTS + 1000)
  expect(fetched).toHaveLength(1)
})

// Following from a page: through the worker that all pages share, or over a line of the page's own where there is none.
import { ApiError, NetworkError } from '@/api/errors'
import { type Asked, SAYS_HERE, type Told } from './messages'
import type { Ending, StreamState } from './sse'
import type { TopicPlace } from './topics'
// oxlint-disable-next-line import/default
import workerFile from './worker?sharedworker&url'

/** A page that nobody looks at follows nothing after this long. */
const HIDDEN = 60_000

export interface Following {
  after?: TopicPlace
  onMessage(data: unknown): void
  /** `fresh` when it connects for the first time, without a place: what happened before is not told. */
  onState?(state: StreamState, fresh: boolean): void
  onEnd?(ending: Ending): void
}

interface Follower {
  id: number
  topic: string
  after?: TopicPlace
  fresh: boolean
  leave?: () => void
  on: Following
}

const followers = new Map<number, Follower>()
let last = 0
let asleep = false
let way: ((follower: Follower) => () => void) | undefined

/** Follows a topic as long as the page is looked at, from where it was left. The answer ends it. */
export function followTopic(topic: string, on: Following): () => void {
  watch()
  last += 1
  const follower: Follower = { id: last, topic, after: on.after, fresh: on.after === undefined, on }
  followers.set(follower.id, follower)
  if (!asleep) begin(follower)
  return () => {
    followers.delete(follower.id)
    follower.leave?.()
  }
}

function begin(follower: Follower): void {
  way ??= shared() ?? own()
  follower.leave?.()
  follower.leave = way(follower)
}

const told = (follower: Follower) => ({
  message: (data: unknown, place: TopicPlace | undefined) => {
    if (place !== undefined) follower.after = place
    follower.on.onMessage(data)
  },
  state: (state: StreamState) => {
    const { fresh } = follower
    if (state === 'connected') follower.fresh = false
    follower.on.onState?.(state, fresh)
  },
  end: (ending: Ending) => {
    followers.delete(follower.id)
    follower.on.onEnd?.(ending)
  },
})

/** A line of this page alone. */
function own(): (follower: Follower) => () => void {
  // Most browsers don't need it.
  const lines = import('./line').then(({ Lines }) => new Lines())
  return (follower) => {
    const { message, state, end } = told(follower)
    let left = false
    let leave: (() => void) | undefined
    void lines.then((ready) => {
      if (!left) leave = ready.add({ topic: follower.topic, after: follower.after, onMessage: message, onState: state, onEnd: end })
    })
    return () => {
      left = true
      leave?.()
    }
  }
}

/** The policy says that text becomes no script: this file's own address may. */
function address(): string {
  const types = (globalThis as { trustedTypes?: { createPolicy(name: string, rules: { createScriptURL(url: string): string }): { createScriptURL(url: string): unknown } } })
    .trustedTypes
  if (!types) return workerFile
  const policy = types.createPolicy('plimsoll-worker', { createScriptURL: (url) => (url === workerFile ? url : '') })
  // The browser takes it where its types say text.
  return policy.createScriptURL(workerFile) as string
}

/** Through the worker, if this browser has such. */
function shared(): ((follower: Follower) => () => void) | undefined {
  if (typeof SharedWorker !== 'function') return undefined
  let port: MessagePort
  try {
    const worker = new SharedWorker(address(), { type: 'module', name: 'plimsoll' })
    port = worker.port
    worker.addEventListener('error', () => instead())
  } catch {
    return undefined
  }
  const ask = (asked: Asked) => port.postMessage(asked)
  const follow = ({ id, topic, after }: Follower) => ask({ do: 'follow', id, topic, after })
  const instead = () => {
    way = own()
    clearInterval(here)
    for (const follower of followers.values()) {
      follower.leave = undefined
      if (!asleep) begin(follower)
    }
  }
  const hear = (said: Told) => {
    if (said.is === 'stranger') {
      if (!asleep) for (const follower of followers.values()) follow(follower)
      return
    }
    const follower = followers.get(said.id)
    if (!follower) return
    const to = told(follower)
    if (said.is === 'message') to.message(said.data, said.place)
    else if (said.is === 'state') to.state(said.state)
    else if (said.why === 'refused') {
      to.end({ why: 'refused', error: said.refused ? new ApiError(said.refused.problem, said.refused.request) : new NetworkError() })
    } else to.end({ why: said.why })
  }
  port.addEventListener('message', ({ data }: MessageEvent<Told>) => hear(data))
  port.start()
  const here = setInterval(() => ask({ do: 'here' }), SAYS_HERE)
  addEventListener('pagehide', () => ask({ do: 'bye' }))
  // A page that comes back out of the browser's memory.
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) ask({ do: 'here' })
  })
  return (follower) => {
    follow(follower)
    return () => ask({ do: 'leave', id: follower.id })
  }
}

let watching = false

/** Hidden for a while: nothing is followed, and all goes on from where it was when somebody looks again. */
function watch(): void {
  if (watching) return
  watching = true
  let hidden: ReturnType<typeof setTimeout> | undefined
  document.addEventListener('visibilitychange', () => {
    clearTimeout(hidden)
    if (document.visibilityState === 'hidden') {
      hidden = setTimeout(() => {
        asleep = true
        for (const follower of followers.values()) {
          follower.leave?.()
          follower.leave = undefined
        }
      }, HIDDEN)
    } else if (asleep) {
      asleep = false
      for (const follower of followers.values()) begin(follower)
    }
  })
}

// Following from a page: through the worker that all pages share, or over a line of the page's own where there is none.
import { ApiError, NetworkError } from '@/api/errors'
import { type Asked, SAYS_HERE, STARTS, type Told } from './messages'
import type { Ending, StreamState } from './sse'
import { whoIs } from './tabs'
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
  /** The session was over: it goes on when somebody is signed in again. */
  parked: boolean
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
  const follower: Follower = { id: last, topic, after: on.after, fresh: on.after === undefined, parked: false, on }
  followers.set(follower.id, follower)
  if (!asleep) begin(follower)
  return () => {
    followers.delete(follower.id)
    follower.leave?.()
  }
}

/** What ended with the session goes on from where it was: somebody is signed in again, and it is the same person. */
export function followAgain(): void {
  for (const follower of followers.values()) {
    if (!follower.parked) continue
    follower.parked = false
    if (!asleep) begin(follower)
  }
}

function begin(follower: Follower): void {
  if (follower.parked) return
  way ??= shared() ?? own()
  follower.leave?.()
  follower.leave = way(follower)
}

/** Whether a topic ended with the session. */
export const isSignedOut = (ending: Ending) => ending.why === 'refused' && ending.error instanceof ApiError && ending.error.status === 401

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
    follower.leave = undefined
    if (isSignedOut(ending)) follower.parked = true
    else followers.delete(follower.id)
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
  const follow = ({ id, topic, after }: Follower) => ask({ do: 'follow', id, topic, after, person: whoIs() })
  // Browsers end workers as they like, and say nothing: who does not answer is gone.
  let unanswered = 0
  const instead = () => {
    clearInterval(here)
    clearTimeout(starts)
    port.removeEventListener('message', heard)
    ask({ do: 'bye' })
    port.close()
    way = own()
    for (const follower of followers.values()) {
      follower.leave = undefined
      if (!asleep) begin(follower)
    }
  }
  const hear = (said: Told) => {
    unanswered = 0
    clearTimeout(starts)
    if (said.is === 'here') return
    if (said.is === 'stranger') {
      if (!asleep) for (const follower of followers.values()) if (!follower.parked) follow(follower)
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
  const heard = ({ data }: MessageEvent<Told>) => hear(data)
  port.addEventListener('message', heard)
  port.start()
  const starts = setTimeout(instead, STARTS)
  // After what is followed was asked for: it is known then.
  queueMicrotask(() => ask({ do: 'here' }))
  const here = setInterval(() => {
    if (unanswered >= 2 && document.visibilityState === 'visible') return instead()
    unanswered += 1
    ask({ do: 'here' })
  }, SAYS_HERE)
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

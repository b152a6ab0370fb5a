// What pages and the worker that follows for all of them say to each other.
import type { Problem } from '@/api/schema'
import type { Ending, StreamState } from './sse'
import type { TopicPlace } from './topics'

export type Asked =
  /** `person`: who looks. What is told to one is not told to the next. */
  | { do: 'follow'; id: number; topic: string; after?: TopicPlace; person?: string }
  | { do: 'leave'; id: number }
  /** Said now and then: a page that is gone says nothing. */
  | { do: 'here' }
  | { do: 'bye' }

export type Told =
  | { is: 'message'; id: number; data: unknown; place?: TopicPlace }
  | { is: 'state'; id: number; state: StreamState }
  | { is: 'end'; id: number; why: Ending['why']; refused?: { problem: Problem; request?: string } }
  /** The answer to `here`: a worker that is gone gives none. */
  | { is: 'here' }
  /** Nothing is followed for this page: it was thought to be gone. */
  | { is: 'stranger' }

/** A page that was not heard of for so long is gone: closed without a word, or frozen by the browser. */
export const GONE = 150_000
export const SAYS_HERE = 20_000
/** A worker that gave no answer at all for so long does not run. */
export const STARTS = 10_000

// One connection for all that is followed: each topic has its place, and a change of topics takes nothing away and tells nothing
// twice but to who asked for it. Runs in a page, or in a worker for all pages.
import { problemOf } from '@/api/client'
import { type Ending, type Message, type StreamState, FINAL, backoff, follow } from './sse'
import { MOST, type TopicPlace, earlier, keyOf, placesOf } from './topics'

export interface Listener {
  /** `events`, `notices`, `dep:<deployment>:log` or `env:<app>/<environment>:log`. */
  topic: string
  /** Goes on behind it; from now on, or from the first line, without one. */
  after?: TopicPlace
  /** `place` is where one is then. What was told before may be told again: who listens knows what it has. */
  onMessage(data: unknown, place: TopicPlace | undefined): void
  onState(state: StreamState): void
  /** Nothing more comes of the topic. */
  onEnd(ending: Ending): void
}

/** Topics come and go together when one leaves a page for another. */
const GATHER = 20
/** All were refused together and each alone is not, as when somebody signs in again in between: so often it is tried. */
const TRIES = 5

export class Line {
  readonly #listeners = new Set<Listener>()
  readonly #places = new Map<string, TopicPlace>()
  #running: { topics: Set<string>; abort: AbortController } | undefined
  #state: StreamState = 'connecting'
  #timer: ReturnType<typeof setTimeout> | undefined
  #refusals = 0

  /** Whether this topic is here already, or has room. */
  takes(topic: string): boolean {
    const topics = this.#topics()
    return topics.has(topic) || topics.size < MOST
  }

  add(listener: Listener): () => void {
    const { topic, after } = listener
    const known = this.#places.get(topic)
    this.#listeners.add(listener)
    const behind = known !== undefined && after !== undefined && earlier(known, after) !== known
    if (after !== undefined) this.#places.set(topic, known === undefined ? after : earlier(known, after))
    // A log is asked for from its beginning: what is there already is behind that.
    else if (known !== undefined && topic.startsWith('dep:')) this.#places.set(topic, '0')
    if (this.#running?.topics.has(topic) && !behind && !(after === undefined && topic.startsWith('dep:'))) listener.onState(this.#state)
    else this.#reopen(topic)
    return () => this.#remove(listener)
  }

  #remove(listener: Listener): void {
    this.#listeners.delete(listener)
    const topics = this.#topics()
    if (!topics.has(listener.topic)) this.#places.delete(listener.topic)
    this.#soon()
  }

  #topics(): Set<string> {
    return new Set([...this.#listeners].map(({ topic }) => topic))
  }

  /** The line that runs does not have what this topic wants. */
  #reopen(topic: string): void {
    this.#running?.topics.delete(topic)
    this.#soon()
  }

  #soon(after = GATHER): void {
    if (this.#timer !== undefined) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#open()
    }, after)
  }

  /** Opens it anew, unless the one that runs has just what is wanted. */
  #open(): void {
    const topics = this.#topics()
    const running = this.#running
    if (running && running.topics.size === topics.size && [...topics].every((topic) => running.topics.has(topic))) return
    running?.abort.abort()
    this.#running = undefined
    this.#state = running ? this.#state : 'connecting'
    if (topics.size === 0) return
    const abort = new AbortController()
    const mine = { topics: new Set(topics), abort }
    this.#running = mine
    const asked = [...topics].map((topic) => {
      const place = this.#places.get(topic)
      return place === undefined ? topic : `${topic}@${place}`
    })
    const ended = follow({
      path: `/api/v1/stream?topics=${encodeURIComponent(asked.join(','))}`,
      signal: abort.signal,
      // A line that is opened for another topic is not news to who listens already.
      onState: (state) => {
        if (state === 'connecting') return
        this.#state = state
        if (state === 'connected') this.#refusals = 0
        for (const listener of this.#listeners) listener.onState(state)
      },
      onMessage: (message) => this.#tell(message, mine.topics),
    })
    void ended.then((ending) => {
      if (this.#running !== mine) return undefined
      this.#running = undefined
      if (ending.why === 'complete') for (const topic of topics) this.#end(topic, ending)
      return ending.why === 'refused' ? this.#refused([...topics], ending) : undefined
    })
  }

  #tell({ id, event, data }: Message, live: Set<string>): void {
    const places = id === undefined ? undefined : placesOf(id)
    const read: unknown = JSON.parse(data)
    const topic = topicOf(event, read)
    if (event === 'open') {
      // Where "from now on" is, so that nothing is lost when the line is opened anew.
      for (const each of this.#topics()) this.#note(each, places)
      return
    }
    if (topic === undefined) return
    if (event === 'over') {
      // It is not there to be opened again.
      live.delete(topic)
      this.#end(topic, { why: 'complete' })
      return
    }
    // Somebody has just come who is further behind: the line is about to go back for them.
    if (live.has(topic)) this.#note(topic, places)
    const place = places?.get(keyOf(topic))
    for (const listener of this.#listeners) if (listener.topic === topic) listener.onMessage(read, place)
  }

  #note(topic: string, places: Map<string, TopicPlace> | undefined): void {
    const place = places?.get(keyOf(topic))
    if (place !== undefined) this.#places.set(topic, place)
  }

  #end(topic: string, ending: Ending): void {
    this.#places.delete(topic)
    for (const listener of this.#listeners) {
      if (listener.topic !== topic) continue
      this.#listeners.delete(listener)
      listener.onEnd(ending)
    }
  }

  /** One that is refused takes all with it: whichever it was goes, the others go on. */
  async #refused(topics: string[], ending: Ending): Promise<void> {
    if (topics.length === 1) {
      for (const topic of topics) this.#end(topic, ending)
      return
    }
    const found = await Promise.all(topics.map((topic) => refusal(topic)))
    if (found.every((error) => error === undefined)) {
      this.#refusals += 1
      if (this.#refusals > TRIES) for (const topic of topics) this.#end(topic, ending)
      else this.#soon(backoff(this.#refusals, Math.random()))
      return
    }
    topics.forEach((topic, index) => {
      const error = found[index]
      if (error !== undefined) this.#end(topic, { why: 'refused', error })
    })
    this.#soon()
  }
}

/** What the server says to just this topic; nothing when it takes it. */
async function refusal(topic: string): Promise<unknown> {
  const abort = new AbortController()
  try {
    const headers = { accept: 'text/event-stream' }
    const path = `/api/v1/stream?topics=${encodeURIComponent(topic)}`
    const response = await globalThis.fetch(path, { headers, signal: abort.signal, credentials: 'same-origin' })
    return FINAL.has(response.status) ? await problemOf(response) : undefined
  } catch {
    // Then it is not refused but away, and the line comes back by itself.
    return undefined
  } finally {
    abort.abort()
  }
}

function topicOf(event: string | undefined, data: unknown): string | undefined {
  const { dep, env, topic } = data as { dep?: string; env?: string; topic?: string }
  switch (event) {
    case 'events':
    case 'notices':
      return event
    case 'dep':
      return `dep:${dep}:log`
    case 'env':
      return `env:${env}:log`
    case 'over':
      return topic
    default:
      return undefined
  }
}

/** As many lines as it takes; one, as a rule. */
export class Lines {
  readonly #lines: Line[] = []

  add(listener: Listener): () => void {
    let line = this.#lines.find((known) => known.takes(listener.topic))
    if (!line) {
      line = new Line()
      this.#lines.push(line)
    }
    return line.add(listener)
  }
}

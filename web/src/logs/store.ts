// Lines of a log, outside of React: appended without copies, published once a frame.
import type { LogLine, LogsBatch, OutputBatch, Stream } from '@/api/schema'
import { plain } from './ansi'

export interface Line {
  number: number
  /** Milliseconds since 1970. */
  at: number
  source: string
  stream: Stream
  text: string
}

const CHUNK = 10_000

interface Chunk {
  texts: string[]
  times: Float64Array
  streams: Uint8Array
  sources: Uint8Array
  numbers: Float64Array
}

const STREAMS: Stream[] = ['stdout', 'stderr', 'plimsoll']

export interface Snapshot {
  count: number
  version: number
}

export class LogStore {
  #chunks: Chunk[] = []
  #sources: string[] = []
  #count = 0
  #last = -1
  #first = -1
  #era = 0
  #gone = 0
  /** The last number of each log, where lines are numbered by their logs. */
  #ofLog = new Map<string, number>()
  #snapshot: Snapshot = { count: 0, version: 0 }
  #listeners = new Set<() => void>()
  #publishing = false

  /** `most` lines are kept about: of what goes on for days the oldest go. */
  constructor(readonly most = Infinity) {}

  /** Adds a line, unless it has come already: after a reconnect some come twice. */
  append(line: LogLine): void {
    this.#add(line.seq, Date.parse(line.at), line.source, line.stream, line.text)
  }

  /** Lines of one deployment, which are numbered without a gap. */
  appendOutput({ from, at, src, lines }: OutputBatch): void {
    this.#each(src, (index, { source, stream }) => this.#add(from + index, at[index] ?? 0, source, stream, lines[index] ?? ''))
  }

  /** Lines of several logs, each with numbers of its own: here they are numbered as they come. */
  appendLogs({ seq, at, src, lines }: LogsBatch): void {
    this.#each(src, (index, run) => this.#addOf(run, seq[index] ?? 0, at[index] ?? 0, lines[index] ?? ''))
  }

  /** The same for one of them. */
  appendOf(line: LogLine): void {
    this.#addOf(line, line.seq, Date.parse(line.at), line.text)
  }

  /** By its log, as the same source has another one after each deployment. */
  #addOf({ log, source, stream }: Pick<LogLine, 'log' | 'source' | 'stream'>, seq: number, at: number, text: string): void {
    const of = log ?? source
    if (seq <= (this.#ofLog.get(of) ?? -1)) return
    this.#ofLog.set(of, seq)
    this.#add(Math.max(0, this.#last) + 1, at, source, stream, text)
  }

  /** Puts what came before in front: takes over its lines, and its numbers go up to the first of these. */
  prepend(older: LogStore): void {
    const own = { chunks: this.#chunks, sources: this.#sources, count: this.#count }
    const first = this.#first
    this.#chunks = older.#chunks
    this.#sources = older.#sources
    this.#count = older.#count
    this.#first = older.#count > 0 ? older.#first : first
    this.#last = older.#last
    this.#era += 1
    for (let index = 0; index < own.count; index += 1) {
      const chunk = own.chunks[Math.floor(index / CHUNK)]
      const within = index % CHUNK
      if (!chunk) continue
      const stream = STREAMS[chunk.streams[within] ?? 0] ?? 'stdout'
      this.#add(chunk.numbers[within] ?? 0, chunk.times[within] ?? 0, own.sources[chunk.sources[within] ?? 0] ?? '', stream, chunk.texts[within] ?? '')
    }
    this.#publish()
  }

  #each(runs: OutputBatch['src'], take: (index: number, run: OutputBatch['src'][number]) => void): void {
    let index = 0
    for (const run of runs) {
      for (const end = index + run.count; index < end; index += 1) take(index, run)
    }
  }

  /** A good part at once: whoever looks for something begins anew each time. */
  #drop(): void {
    const chunks = Math.max(1, Math.floor(this.most / 10 / CHUNK))
    this.#chunks.splice(0, chunks)
    this.#count -= chunks * CHUNK
    this.#gone += chunks * CHUNK
    this.#first = this.#chunks[0]?.numbers[0] ?? -1
    this.#era += 1
  }

  #add(number: number, at: number, source: string, stream: Stream, text: string): void {
    if (number <= this.#last) return
    this.#last = number
    if (this.#count === 0) this.#first = number
    const within = this.#count % CHUNK
    if (within === 0) {
      if (this.#count >= this.most && this.#count > 0) this.#drop()
      this.#chunks.push({
        texts: [],
        times: new Float64Array(CHUNK),
        streams: new Uint8Array(CHUNK),
        sources: new Uint8Array(CHUNK),
        numbers: new Float64Array(CHUNK),
      })
    }
    const chunk = this.#chunks.at(-1)
    if (!chunk) return
    chunk.texts.push(text)
    chunk.times[within] = at
    chunk.streams[within] = STREAMS.indexOf(stream)
    chunk.sources[within] = this.#source(source)
    chunk.numbers[within] = number
    this.#count += 1
    this.#publish()
  }

  /** The line at an index, 0 at first. */
  line(index: number): Line | undefined {
    const chunk = this.#chunks[Math.floor(index / CHUNK)]
    const within = index % CHUNK
    const text = chunk?.texts[within]
    if (!chunk || text === undefined) return undefined
    return {
      text,
      number: chunk.numbers[within] ?? 0,
      at: chunk.times[within] ?? 0,
      stream: STREAMS[chunk.streams[within] ?? 0] ?? 'stdout',
      source: this.#sources[chunk.sources[within] ?? 0] ?? '',
    }
  }

  /** The index of the line with this number, or of the one that follows it. */
  find(number: number): number {
    let from = 0
    let to = this.#count
    while (from < to) {
      const middle = Math.floor((from + to) / 2)
      if ((this.line(middle)?.number ?? 0) < number) from = middle + 1
      else to = middle
    }
    return from
  }

  get count(): number {
    return this.#count
  }

  /** The text of the line at an index as it is read: without colours. */
  text(index: number): string {
    return plain(this.#chunks[Math.floor(index / CHUNK)]?.texts[index % CHUNK] ?? '')
  }

  /** Number of the first line that is here; -1 without one. */
  get first(): number {
    return this.#first
  }

  /** How many of the first lines were here and are not kept. */
  get gone(): number {
    return this.#gone
  }

  /** Grows when lines came before the first, or the first went: then every index is another line's. */
  get era(): number {
    return this.#era
  }

  get last(): number {
    return this.#last
  }

  get sources(): number {
    return this.#sources.length
  }

  /** For `useSyncExternalStore`. */
  snapshot = (): Snapshot => this.#snapshot

  subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** There are few sources; a log of more than 256 shows the rest under the last one's name. */
  #source(name: string): number {
    const known = this.#sources.indexOf(name)
    if (known >= 0) return known
    if (this.#sources.length === 256) return 255
    return this.#sources.push(name) - 1
  }

  #publish(): void {
    if (this.#publishing) return
    this.#publishing = true
    // A hidden tab has no frames, and needs none.
    requestAnimationFrame(() => {
      this.#publishing = false
      this.#snapshot = { count: this.#count, version: this.#snapshot.version + 1 }
      for (const listener of this.#listeners) listener()
    })
  }
}

// The worker's side of what all pages share.
import { ApiError } from '@/api/errors'
import { type Listener, Lines } from './line'
import { type Asked, GONE, type Told } from './messages'

interface Port {
  postMessage(told: Told): void
}

/** Who follows what, page by page. */
export class Exchange {
  /** By the person: who signs in after another one sees nothing of theirs. */
  readonly #lines = new Map<string, Lines>()
  readonly #pages = new Map<Port, { seen: number; leave: Map<number, () => void> }>()

  constructor(readonly now: () => number = Date.now) {}

  hear(port: Port, asked: Asked): void {
    for (const [other, { seen }] of this.#pages) if (this.now() - seen > GONE) this.forget(other)
    const known = this.#pages.get(port)
    if (asked.do === 'bye') return this.forget(port)
    if (!known && asked.do === 'here') return port.postMessage({ is: 'stranger' })
    const page = known ?? { seen: 0, leave: new Map<number, () => void>() }
    page.seen = this.now()
    if (asked.do === 'here') port.postMessage({ is: 'here' })
    this.#pages.set(port, page)
    if (asked.do === 'follow') {
      const { id } = asked
      page.leave.get(id)?.()
      page.leave.set(id, this.#linesOf(asked.person).add(this.#listener(port, asked)))
    } else if (asked.do === 'leave') {
      page.leave.get(asked.id)?.()
      page.leave.delete(asked.id)
    }
  }

  forget(port: Port): void {
    for (const leave of this.#pages.get(port)?.leave.values() ?? []) leave()
    this.#pages.delete(port)
  }

  #linesOf(person = ''): Lines {
    const lines = this.#lines.get(person) ?? new Lines()
    this.#lines.set(person, lines)
    return lines
  }

  #listener(port: Port, { id, topic, after }: Extract<Asked, { do: 'follow' }>): Listener {
    return {
      topic,
      after,
      onMessage: (data, place) => port.postMessage({ is: 'message', id, data, place }),
      onState: (state) => port.postMessage({ is: 'state', id, state }),
      onEnd: (ending) => {
        const error = ending.why === 'refused' ? ending.error : undefined
        // Errors don't travel: what they say does.
        const refused = error instanceof ApiError ? { problem: error.problem, request: error.request } : undefined
        port.postMessage({ is: 'end', id, why: ending.why, refused })
      },
    }
  }
}

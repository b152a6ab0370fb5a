// The app on somebody's phone (RFC 6238): a key, and a code for each half minute.
import { createHmac } from 'node:crypto'
import { until } from './until'

const STEP = 30_000
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

export class Authenticator {
  readonly #key: Buffer
  #last = 0

  /** `secret` as people type it: base32, in groups. */
  constructor(secret: string) {
    const letters = [...secret.replaceAll(/\s/g, '')]
    const bits = letters.map((letter) => ALPHABET.indexOf(letter).toString(2).padStart(5, '0')).join('')
    this.#key = Buffer.from(Array.from({ length: Math.floor(bits.length / 8) }, (_, n) => Number.parseInt(bits.slice(8 * n, 8 * n + 8), 2)))
  }

  /** One that was not given yet: each is good once, from half a minute before its time on. */
  async next(): Promise<string> {
    const now = () => Math.floor(Date.now() / STEP)
    this.#last = Math.max(this.#last + 1, now())
    await until('the time of the next code', 2 * STEP, () => this.#last <= now() + 1)
    return this.#code(this.#last)
  }

  /** The one that was given last. */
  get spent(): string {
    return this.#code(this.#last)
  }

  /** None of those that are good around now. */
  get wrong(): string {
    const now = Math.floor(Date.now() / STEP)
    const good = [-2, -1, 0, 1, 2, 3].map((away) => this.#code(now + away))
    return ['000000', '111111', '222222', '333333', '444444', '555555', '666666'].find((code) => !good.includes(code)) ?? ''
  }

  #code(step: number): string {
    const counter = Buffer.alloc(8)
    counter.writeBigUInt64BE(BigInt(step))
    const digest = createHmac('sha1', this.#key).update(counter).digest()
    const at = (digest.at(-1) ?? 0) & 15
    return String((digest.readUInt32BE(at) & 0x7f_ff_ff_ff) % 1_000_000).padStart(6, '0')
  }
}

// Idempotency keys: what is sent twice under one key is done once.

/** A new key. Not `randomUUID`: browsers have that over TLS only. */
export function newKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16))
  return `web-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`
}

/**
 * The key of an intention: the same for the same input until there was an answer, so that a click too many, or another try
 * after the network went away, is still one deployment.
 */
export class Intention {
  #key: string | undefined
  #input: string | undefined

  keyFor(input: unknown): string {
    const now = JSON.stringify(input) ?? ''
    if (this.#key === undefined || now !== this.#input) {
      this.#key = newKey()
      this.#input = now
    }
    return this.#key
  }

  /** There was an answer: the next one is another intention. */
  answered(): void {
    this.#key = undefined
  }
}

// What can go wrong with a call, as the pages see it.
import type { ErrorKind, Problem } from './schema'

/** The server's own word: a problem document. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  constructor(
    readonly problem: Problem,
    /** Finds the request in the server's log. */
    readonly request?: string,
    /** Seconds after which it is worth another try. */
    readonly retryAfter?: number,
  ) {
    super(problem.detail)
  }

  get status(): number {
    return this.problem.status
  }

  is(code: ErrorKind): boolean {
    return this.problem.code === code
  }
}

/** No answer: the server or the way to it is away. What was sent may have been done. */
export class NetworkError extends Error {
  override readonly name = 'NetworkError'
  constructor(options?: ErrorOptions) {
    super('The server does not answer', options)
  }
}

/** An answer that is not Plimsoll's, such as a proxy's page. */
export class StrangeAnswer extends Error {
  override readonly name = 'StrangeAnswer'
  constructor(readonly status: number) {
    super(`Something that is not Plimsoll answered, with status ${status}`)
  }
}

/** What to say of any error: what happened, what to do, and the id by which the log knows it. */
export function explain(error: unknown): { title: string; detail: string; hint?: string; request?: string } {
  if (error instanceof ApiError) {
    const { title, detail, hint } = error.problem
    // Pages ask for that themselves: it is left when somebody would not.
    if (error.is('confirm_identity')) return { title, detail: 'You did not confirm that it is you, so nothing was done.', request: error.request }
    return { title, detail: sentence(detail), hint: hint ? sentence(hint) : undefined, request: error.request }
  }
  if (error instanceof NetworkError) {
    return {
      title: 'The server does not answer',
      detail: 'It may be restarting, or the network is away. Apps keep serving meanwhile.',
      hint: 'What was sent may have been done. Sending it again is harmless.',
    }
  }
  if (error instanceof StrangeAnswer) {
    return {
      title: 'This answer is not Plimsoll’s',
      detail: `${error.message}.`,
      hint: 'Look at what stands in front of the server, such as a proxy.',
    }
  }
  return {
    title: 'This page failed',
    detail: error instanceof Error ? error.message : String(error),
    hint: 'Load it again. If it fails again, that is a defect of Plimsoll: please report it.',
  }
}

/** For the line below a field: what happened and what to do. */
export const inOneLine = ({ detail, hint }: { detail: string; hint?: string }) => (hint ? `${detail} ${hint}` : detail)

/** The API's texts begin small and end without a stop, as they are parts of sentences elsewhere. */
export function sentence(text: string): string {
  const first = text.charAt(0).toUpperCase() + text.slice(1)
  return /[.!?…:)]$/.test(first) ? first : `${first}.`
}

/** Worth another try by itself: nothing is wrong with the request. */
export function willPass(error: unknown): boolean {
  return error instanceof NetworkError || ((error instanceof ApiError || error instanceof StrangeAnswer) && [502, 503, 504].includes(error.status))
}

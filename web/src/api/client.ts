// The one way to the API. Every answer that is not a success becomes an error of ./errors.
import createClient from 'openapi-fetch'
import { ApiError, NetworkError, StrangeAnswer } from './errors'
import type { paths, Problem } from './schema'

/** What the rest of the interface does when the server wants something of the person first. */
interface Doors {
  /** The session is over: go and sign in. */
  signedOut(): void
  /** "Confirm that it is you": true when it was confirmed, and the request is worth repeating. */
  confirmIdentity(): Promise<boolean>
}

let doors: Doors = { signedOut: () => {}, confirmIdentity: async () => false }

export function openDoors(to: Partial<Doors>): void {
  doors = { ...doors, ...to }
}

/** As `fetch`, but for errors: those of ./errors, with the session's end and confirmations seen to. */
export async function send(request: Request): Promise<Response> {
  // A body can be read once: the copy is for a repetition.
  const again = request.clone()
  let response = await answer(request)
  if (response.ok) return response
  let error = await problemOf(response)
  if (error instanceof ApiError && (error.problem.code as string) === 'confirm_identity') {
    if (!(await doors.confirmIdentity())) throw error
    response = await answer(again)
    if (response.ok) return response
    error = await problemOf(response)
  }
  // What signs in gets 401 for a wrong password: that ends no session.
  if (response.status === 401 && !new URL(request.url).pathname.startsWith('/api/v1/auth/')) doors.signedOut()
  throw error
}

async function answer(request: Request): Promise<Response> {
  try {
    return await globalThis.fetch(request)
  } catch (error) {
    if (request.signal.aborted) throw error
    throw new NetworkError({ cause: error })
  }
}

/** The error that a refused response tells. */
export async function problemOf(response: Response): Promise<ApiError | StrangeAnswer> {
  const type = response.headers.get('content-type') ?? ''
  if (!type.includes('json')) return new StrangeAnswer(response.status)
  const problem = (await response.json().catch(() => undefined)) as Problem | undefined
  if (typeof problem?.detail !== 'string') return new StrangeAnswer(response.status)
  const wait = Number(response.headers.get('retry-after') ?? Number.NaN)
  return new ApiError(problem, response.headers.get('x-request-id') ?? undefined, Number.isFinite(wait) ? wait : undefined)
}

const client = createClient<paths>({
  baseUrl: typeof location === 'undefined' ? undefined : location.origin,
  // Taken at each call: tests and workers put another one there.
  fetch: send,
  credentials: 'same-origin',
})

/** `api.GET('/api/v1/apps/{app}', …)`: typed by openapi.json. Wrap it in `data()`. */
export const api = client

/** The body of a call that went well; every other end of it was thrown. */
export async function data<T>(call: Promise<{ data?: T }>): Promise<T> {
  return (await call).data as T
}

/** The header that makes a repetition harmless. */
export const under = (key: string) => ({ 'Idempotency-Key': key })

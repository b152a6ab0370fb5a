import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { api, data, openDoors } from '@/api/client'
import { ApiError, NetworkError, StrangeAnswer, explain, sentence, willPass } from '@/api/errors'
import { Intention } from '@/api/keys'
import { roleAt, unless } from '@/api/auth'

const problem = (status: number, code: string, more: object = {}) =>
  new Response(JSON.stringify({ type: 'about:blank', title: 'No', status, code, detail: 'it is not so', ...more }), {
    status,
    headers: { 'content-type': 'application/problem+json', 'x-request-id': 'req_1' },
  })

const ok = () => new Response(JSON.stringify({ fine: true }), { headers: { 'content-type': 'application/json' } })

const wrong = { email: 'ada@example.org', password: 'wrong' }
const signIn = () => data(api.POST('/api/v1/auth/sign-in', { body: wrong }))

describe('a call', () => {
  const fetch = vi.fn<(request: Request) => Promise<Response>>()
  const signedOut = vi.fn<() => void>()
  const confirmIdentity = vi.fn<() => Promise<boolean>>()
  beforeEach(() => {
    vi.stubGlobal('fetch', fetch)
    openDoors({ signedOut, confirmIdentity })
  })
  afterEach(() => {
    vi.unstubAllGlobals()
    vi.resetAllMocks()
  })

  it('throws what the server says, with the id of the request', async () => {
    fetch.mockResolvedValueOnce(problem(404, 'not_found', { hint: 'look again' }))
    const error = await data(api.GET('/api/v1/me')).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(ApiError)
    expect(explain(error)).toEqual({ title: 'No', detail: 'It is not so.', hint: 'Look again.', request: 'req_1' })
    expect(signedOut).not.toHaveBeenCalled()
  })

  it('tells a dead network and a foreign answer from the API’s errors', async () => {
    fetch.mockRejectedValueOnce(new TypeError('failed to fetch'))
    await expect(data(api.GET('/api/v1/me'))).rejects.toBeInstanceOf(NetworkError)
    fetch.mockResolvedValueOnce(new Response('<html>', { status: 502, headers: { 'content-type': 'text/html' } }))
    await expect(data(api.GET('/api/v1/me'))).rejects.toBeInstanceOf(StrangeAnswer)
    expect(willPass(new NetworkError())).toBe(true)
    expect(willPass(new StrangeAnswer(200))).toBe(false)
  })

  it('leads out when the session is over, but not for a wrong password', async () => {
    fetch.mockResolvedValueOnce(problem(401, 'unauthorized'))
    await expect(data(api.GET('/api/v1/me'))).rejects.toBeInstanceOf(ApiError)
    expect(signedOut).toHaveBeenCalledTimes(1)
    fetch.mockResolvedValueOnce(problem(401, 'unauthorized'))
    await expect(signIn()).rejects.toBeInstanceOf(ApiError)
    expect(signedOut).toHaveBeenCalledTimes(1)
  })

  it('is repeated, body and all, once one has confirmed who one is', async () => {
    const bodies: string[] = []
    fetch.mockImplementation(async (request) => {
      bodies.push(await request.text())
      return bodies.length === 1 ? problem(403, 'confirm_identity') : ok()
    })
    confirmIdentity.mockResolvedValueOnce(true)
    await expect(signIn()).resolves.toEqual({ fine: true })
    expect(bodies).toEqual([JSON.stringify(wrong), JSON.stringify(wrong)])
  })

  it('is refused when one does not confirm', async () => {
    fetch.mockResolvedValueOnce(problem(403, 'confirm_identity'))
    confirmIdentity.mockResolvedValueOnce(false)
    await expect(signIn()).rejects.toMatchObject({ status: 403 })
    expect(fetch).toHaveBeenCalledTimes(1)
  })
})

describe('an intention', () => {
  it('keeps its key until there was an answer', () => {
    const intention = new Intention()
    const first = intention.keyFor({ release: 3 })
    expect(intention.keyFor({ release: 3 })).toBe(first)
    expect(intention.keyFor({ release: 4 })).not.toBe(first)
    const second = intention.keyFor({ release: 4 })
    intention.answered()
    expect(intention.keyFor({ release: 4 })).not.toBe(second)
    expect(first).toMatch(/^web-[0-9a-f]{32}$/)
  })
})

it('texts of the server become sentences', () => {
  expect(sentence('the name is taken')).toBe('The name is taken.')
  expect(sentence('Really?')).toBe('Really?')
})

it('the higher role counts, and what is missing is said', () => {
  const grants = { everywhere: 'viewer', apps: { shop: 'admin' } } as const
  expect(roleAt(grants, 'shop')).toBe('admin')
  expect(roleAt(grants, 'site')).toBe('viewer')
  expect(unless(grants, 'deployer', 'shop')).toBeUndefined()
  expect(unless(grants, 'deployer', 'site')).toBe('This needs the role deployer in site; yours is viewer')
  expect(unless(undefined, 'viewer')).toContain('none')
})

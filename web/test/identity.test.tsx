// A request that needs a fresh sign-in: asked for once, by what one has, and then sent again as it was.
import { render, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { App, client, router } from '@/app'

const said = vi.fn()
let on = true
let fresh = false
let over = false
let via = 'password'
let secure = true
const proofs: unknown[] = []
const keys: (string | null)[] = []

beforeEach(() => {
  said.mockClear()
  vi.spyOn(console, 'error').mockImplementation(said)
  client.clear()
  on = true
  fresh = false
  over = false
  via = 'password'
  secure = true
  proofs.length = 0
  keys.length = 0
  vi.stubGlobal('fetch', async (request: Request) => {
    const { pathname } = new URL(request.url)
    const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
    const problem = (status: number, code: string, detail: string, hint?: string) => json({ status, code, title: code, detail, hint }, status)
    if (pathname.endsWith('/stream')) return new Promise(() => {})
    if (pathname === '/api/v1/auth/methods') return json({ password: true, oidc: 'Example Inc.', secure, owner_missing: false })
    if (pathname === '/api/v1/auth/confirm') {
      const proof = (await request.json()) as Record<string, string>
      proofs.push(proof)
      if (over) return problem(401, 'unauthorized', 'the session has ended', 'sign in again')
      if (proof.code !== '123456' && proof.password !== 'right') return problem(401, 'unauthorized', 'that code is not good', 'type what the app shows now')
      fresh = true
      return new Response(null, { status: 204 })
    }
    if (over) return problem(401, 'unauthorized', 'the session has ended')
    if (pathname === '/api/v1/me') return json({ principal: 'usr_1', name: 'Ada', email: 'ada@example.org', grants: { everywhere: 'owner', apps: {} } })
    if (pathname === '/api/v1/sessions') return json([{ id: 'ses_1', current: true, via, address: '::1', agent: '', created_at: AT, seen_at: AT, ends_at: AT }])
    if (pathname !== '/api/v1/me/totp') return problem(404, 'not_found', `no ${pathname}`)
    if (request.method === 'GET') return json({ enabled: on, recovery_codes: on ? 9 : 0 })
    keys.push(request.headers.get('idempotency-key'))
    if (!fresh) return problem(403, 'confirm_identity', 'totp.remove asks you to confirm first that it is you')
    on = request.method === 'POST' && on
    return json(request.method === 'POST' ? {} : { enabled: false, recovery_codes: 0 })
  })
})
afterEach(() => {
  vi.unstubAllGlobals()
  expect(said.mock.calls).toEqual([])
})

const AT = '2026-11-21T20:00:00Z'

async function switchOff() {
  render(<App />)
  await router.navigate({ to: '/settings/account' })
  await userEvent.click(await screen.findByRole('button', { name: 'Switch off' }))
  const question = within(await screen.findByRole('dialog', { name: 'Switch the second factor off?' }))
  await userEvent.click(question.getByRole('button', { name: 'Switch off' }))
  return within(await screen.findByRole('dialog', { name: 'Confirm that it is you' }))
}

it('a code confirms; a wrong one is told at its field, which keeps the focus; the request is sent again under its key', async () => {
  const dialog = await switchOff()
  await waitFor(() => expect(dialog.getByLabelText('Code')).toHaveFocus())
  await userEvent.keyboard('{Enter}')
  expect(await dialog.findByText('The code that your app shows')).toBeVisible()
  await userEvent.keyboard('000 000{Enter}')
  expect(await dialog.findByRole('alert')).toHaveTextContent('That code is not good. Type what the app shows now.')
  expect(dialog.getByLabelText('Code')).toBeInvalid()
  expect(dialog.getByLabelText('Code')).toHaveFocus()
  // What was wrong is selected: typing takes its place.
  await userEvent.keyboard('123 456{Enter}')
  await waitFor(() => expect(on).toBe(false))
  await waitFor(() => expect(screen.queryByRole('dialog')).toBeNull())
  expect(proofs).toEqual([{ code: '000000' }, { code: '123456' }])
  expect(keys).toHaveLength(2)
  expect(new Set(keys).size).toBe(1)
})

it('the password does as well, and nothing is done when one does not confirm', async () => {
  const dialog = await switchOff()
  await userEvent.click(dialog.getByRole('button', { name: 'Give the password instead' }))
  await waitFor(() => expect(dialog.getByLabelText('Password')).toHaveFocus())
  await userEvent.click(dialog.getByRole('button', { name: 'Don’t do it' }))
  const question = within(await screen.findByRole('dialog', { name: 'Switch the second factor off?' }))
  expect(await question.findByText(/You did not confirm/)).toBeVisible()
  await userEvent.click(question.getByRole('button', { name: 'Switch off' }))
  const again = within(await screen.findByRole('dialog', { name: 'Confirm that it is you' }))
  await userEvent.click(again.getByRole('button', { name: 'Give the password instead' }))
  await userEvent.type(again.getByLabelText('Password'), 'right{Enter}')
  await waitFor(() => expect(on).toBe(false))
  expect(proofs).toEqual([{ password: 'right' }])
})

it('who came by a provider may come by it anew', async () => {
  via = 'oidc'
  const dialog = await switchOff()
  expect(dialog.getByRole('button', { name: 'Sign in with Example Inc. anew' })).toBeVisible()
})

it('a session that is over leads to the sign-in page', async () => {
  const dialog = await switchOff()
  over = true
  await userEvent.type(dialog.getByLabelText('Code'), '123456{Enter}')
  await waitFor(() => expect(router.state.location.pathname).toBe('/sign-in'))
  await waitFor(() => expect(screen.queryByRole('dialog', { name: 'Confirm that it is you' })).toBeNull())
})

it('that a connection is not encrypted is told before a password is typed, and after', async () => {
  secure = false
  render(<App />)
  await router.navigate({ to: '/settings/account' })
  expect(await screen.findByText(/This connection is not encrypted/)).toBeVisible()
  client.clear()
  await router.navigate({ to: '/sign-in' })
  await screen.findByLabelText('Password')
  expect(await screen.findByText(/This connection is not encrypted/)).toBeVisible()
})

// The page of one's account over answers like the server's: a second factor is switched on with a code, and off again.
import { render, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { App, client, router } from '@/app'

const setup = { secret: 'GEZD GNBV', url: 'otpauth://totp/Plimsoll:ada', picture: { size: 29, path: 'M4 4h7v1h-7z' } }
const codes = ['aaaa-bbbb-cccc-dddd', 'eeee-ffff-gggg-hhhh']
const said = vi.fn()
const asked: { method: string; body: unknown; key: string | null }[] = []
let on = false

beforeEach(() => {
  said.mockClear()
  vi.spyOn(console, 'error').mockImplementation(said)
  client.clear()
  asked.length = 0
  on = false
  vi.stubGlobal('fetch', async (request: Request) => {
    const { pathname } = new URL(request.url)
    const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
    if (pathname.endsWith('/stream')) return new Promise(() => {})
    if (pathname === '/api/v1/me') {
      return json({ principal: 'usr_1', name: 'Ada', email: 'ada@example.org', grants: { everywhere: 'owner', apps: {} } })
    }
    if (pathname === '/api/v1/sessions') return json([])
    if (pathname !== '/api/v1/me/totp') return json({ detail: `no ${pathname}`, title: 'Not found', status: 404, code: 'not_found' }, 404)
    if (request.method === 'GET') return json({ enabled: on, recovery_codes: on ? 2 : 0 })
    const text = await request.text()
    const body: unknown = text === '' ? undefined : JSON.parse(text)
    asked.push({ method: request.method, body, key: request.headers.get('idempotency-key') })
    if (request.method === 'POST') return json({ setup }, 201)
    on = request.method === 'PUT'
    return json(on ? { recovery_codes: codes } : { enabled: false, recovery_codes: 0 })
  })
})
afterEach(() => {
  vi.unstubAllGlobals()
  expect(said.mock.calls).toEqual([])
})

it('a second factor is scanned, confirmed, and switched off after a question', async () => {
  render(<App />)
  await router.navigate({ to: '/settings/account' })
  const part = async () => within(await screen.findByRole('region', { name: 'Second factor' }))
  await userEvent.click(await (await part()).findByRole('button', { name: 'Set up' }))
  expect(await screen.findByRole('img', { name: 'The key as a QR code' })).toBeVisible()
  expect(screen.getByLabelText('The key')).toHaveTextContent('GEZD GNBV')
  await userEvent.type((await part()).getByLabelText('Code'), '12 34')
  await userEvent.click((await part()).getByRole('button', { name: 'Switch on' }))
  expect(await screen.findByText('The six digits that the app shows')).toBeVisible()
  await userEvent.type((await part()).getByLabelText('Code'), '56')
  await userEvent.click((await part()).getByRole('button', { name: 'Switch on' }))
  // Shown this once.
  expect(await screen.findByLabelText('Recovery codes')).toHaveTextContent('aaaa-bbbb-cccc-dddd')
  await userEvent.click(screen.getByRole('button', { name: 'I have them' }))
  expect(await screen.findByText('Few recovery codes are left')).toBeVisible()
  await waitFor(() => expect(screen.queryByText('aaaa-bbbb-cccc-dddd')).toBeNull())
  await userEvent.click((await part()).getByRole('button', { name: 'Switch off' }))
  const dialog = await screen.findByRole('dialog', { name: 'Switch the second factor off?' })
  await userEvent.click(within(dialog).getByRole('button', { name: 'Switch off' }))
  await waitFor(async () => expect((await part()).getByRole('button', { name: 'Set up' })).toBeVisible())
  expect(asked.map(({ method, body }) => [method, body])).toEqual([
    ['POST', undefined],
    ['PUT', { code: '123456' }],
    ['DELETE', undefined],
  ])
  expect(new Set(asked.map(({ key }) => key)).size).toBe(3)
})

// Whole pages over answers like the server's: what is sent, what the address says, and a console that is silent.
import { fireEvent, render, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { App, client, router } from '@/app'
import { setPreferences } from '@/preferences'
import type { AuditRecord, ReleaseStatus, Token } from '@/api/schema'

const AT = '2026-11-21T20:00:00Z'
const token: Token = {
  id: 'tok_1',
  name: 'laptop',
  prefix: 'plm_abc',
  access: 'full',
  grants: [{ role: 'viewer' }],
  created_by: 'Ada',
  created_at: AT,
  state: 'valid',
  local: false,
  user: 'usr_1',
}
const record: AuditRecord = {
  seq: 1,
  at: AT,
  actor: 'usr_1',
  actor_kind: 'person',
  actor_name: 'Ada',
  address: '127.0.0.1',
  via: 'web',
  operation: 'apps.set_concurrency',
  app: 'shop',
  outcome: 'done',
  detail: { before: 2, after: 3 },
  hash: '',
  key: '',
  mac: '',
  prev: '',
}
const environment = (name: string, number: number) => ({
  id: name,
  app: 'shop',
  name,
  urls: [],
  instances: [],
  in_progress: [],
  host: 'h',
  active: { release: 'r', release_number: number, deployment: 'dep_1', since: AT },
})
const release = (number: number): ReleaseStatus => ({
  id: `rel_${number}`,
  number,
  tags: [],
  active_in: [],
  served_in: ['production', 'staging'],
  artifact: 'a',
  digest: 'd',
  created_at: AT,
  files: 1,
  size: 10,
  metadata: {},
  variables: [],
  spec: { builds: [], components: [] },
})
const owner = { principal: 'usr_1', name: 'Ada', grants: { everywhere: 'owner', apps: {} } }
const posted: unknown[] = []
const said = vi.fn()
const answers: Record<string, unknown> = {
  '/api/v1/me': owner,
  '/api/v1/tokens': [token, { ...token, id: 'tok_2', name: 'old', state: 'revoked' }],
  '/api/v1/apps': { items: [{ id: 'app_1', name: 'shop' }] },
  '/api/v1/apps/shop': { id: 'app_1', name: 'shop', environments: [environment('production', 2), environment('staging', 2)], concurrency: 2 },
  '/api/v1/apps/shop/releases': { items: [release(3), release(2)], next: '2' },
  // The second page.
  '/api/v1/apps/shop/releases 2': { items: [release(1)] },
  '/api/v1/deployments': { items: [], next: '9' },
  '/api/v1/audit': { items: [record], next: '1' },
}
/** The status with which a path is refused. */
const refused = new Map<string, number>()
beforeEach(() => {
  said.mockClear()
  vi.spyOn(console, 'error').mockImplementation(said)
  refused.clear()
  client.clear()
  vi.stubGlobal('fetch', async (request: Request) => {
    const { pathname, searchParams } = new URL(request.url)
    const cursor = searchParams.get('cursor')
    const asked = cursor === null || !(`${pathname} ${cursor}` in answers) ? pathname : `${pathname} ${cursor}`
    const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
    const status = refused.get(pathname)
    if (status !== undefined) return json({ title: 'No', status, code: 'internal', detail: 'the disk is full' }, status)
    if (pathname.endsWith('/stream')) return new Promise(() => {})
    if (request.method === 'POST') {
      posted.push(await request.json())
      if (pathname.endsWith('/verify')) return json({ sound: true, records: 12, unchecked: 0, anchor: '12:aa' })
      return json({ token, secret: 'plm_secret' }, 201)
    }
    return asked in answers ? json(answers[asked]) : json({ detail: `no ${asked}`, title: 'Not found', status: 404, code: 'not_found' }, 404)
  })
})
afterEach(() => {
  vi.unstubAllGlobals()
  answers['/api/v1/me'] = owner
  expect(said.mock.calls).toEqual([])
})

it('a token has the roles that were chosen, and is shown once', async () => {
  render(<App />)
  await router.navigate({ to: '/tokens' })
  expect(await screen.findByRole('heading', { level: 1, name: 'Tokens' })).toBeVisible()
  expect(await screen.findByText('laptop')).toBeVisible()
  await userEvent.click(screen.getByRole('button', { name: 'Show one that has ended' }))
  expect(await screen.findByText('Revoked')).toBeVisible()
  await userEvent.click(screen.getByRole('button', { name: 'New token' }))
  const dialog = await screen.findByRole('dialog', { name: 'New token' })
  await userEvent.type(within(dialog).getByLabelText('Name'), 'ci')
  await userEvent.selectOptions(within(dialog).getByLabelText('For'), 'A machine')
  await userEvent.click(within(dialog).getByRole('button', { name: 'Another role' }))
  await userEvent.selectOptions(within(dialog).getByLabelText('Where 2'), 'shop')
  await userEvent.click(within(dialog).getByRole('button', { name: 'Make the token' }))
  expect(await screen.findByLabelText('The token')).toHaveTextContent('plm_secret')
  expect(posted).toEqual([{ name: 'ci', for: 'machine', grants: [{ role: 'viewer' }, { role: 'viewer', app: 'shop' }], read_only: false, expires_in: '90d' }])
})

it('what is looked at of the audit log is in the address, and the focus stays where one types', async () => {
  render(<App />)
  await router.navigate({ to: '/audit' })
  expect(await screen.findByRole('heading', { level: 1, name: 'Audit log' })).toBeVisible()
  expect((await screen.findAllByText('apps.set_concurrency')).length).toBeGreaterThan(0)
  await userEvent.click(screen.getByRole('button', { name: 'Verify' }))
  expect(await screen.findByText('The log is sound up to record 12')).toBeVisible()
  await userEvent.selectOptions(screen.getByLabelText('Who'), 'Ada')
  await waitFor(() => expect(router.latestLocation.href).toBe('/audit?actor=usr_1'))
  await userEvent.type(screen.getByLabelText('Operation'), 'apps.create{Enter}')
  await waitFor(() => expect(router.latestLocation.href).toBe('/audit?actor=usr_1&operation=apps.create'))
  expect(screen.getByLabelText('Operation')).toHaveFocus()
  await userEvent.click(screen.getByRole('button', { name: 'Older ones' }))
  await waitFor(() => expect(router.latestLocation.search).toMatchObject({ cursor: '1' }))
  expect(screen.getByRole('link', { name: 'Export' })).toHaveAttribute('href', '/api/v1/audit/export?actor=usr_1&operation=apps.create')
  await userEvent.click(screen.getByRole('button', { name: 'Show all' }))
  await waitFor(() => expect(router.latestLocation.href).toBe('/audit'))
  expect(screen.getByLabelText('Operation')).toHaveValue('')
})

it('an admin of an app alone is led to its records', async () => {
  answers['/api/v1/me'] = { ...owner, grants: { everywhere: null, apps: { shop: 'admin', blog: 'viewer' } } }
  render(<App />)
  await router.navigate({ to: '/audit' })
  expect(await screen.findByText('Choose one of your apps')).toBeVisible()
  expect(screen.getByRole('button', { name: 'Export' })).toHaveAccessibleDescription(/needs the role admin on this server/)
  expect(screen.queryByRole('link', { name: 'blog' })).toBeNull()
  await userEvent.click(screen.getByRole('link', { name: 'shop' }))
  expect((await screen.findAllByText('apps.set_concurrency')).length).toBeGreaterThan(0)
  expect(screen.getByRole('button', { name: 'Verify' })).toHaveAccessibleDescription(/needs the role admin on this server/)
})

it('one goes back to the very release that was chosen, however old, where one chooses', async () => {
  render(<App />)
  await router.navigate({ to: '/apps/$app/releases', params: { app: 'shop' } })
  expect(await screen.findByRole('heading', { level: 1, name: 'Releases' })).toBeVisible()
  expect(await screen.findByRole('button', { name: 'Roll back to v2' })).toHaveAccessibleDescription('It serves already')
  await userEvent.click(screen.getByRole('button', { name: 'Older ones' }))
  await userEvent.click(await screen.findByRole('button', { name: 'Roll back to v1' }))
  await userEvent.click(await screen.findByRole('menuitem', { name: 'staging' }))
  const dialog = await screen.findByRole('dialog', { name: 'Roll back shop / staging' })
  // It is not among the newest, for which the dialog asks.
  expect(await within(dialog).findByRole('button', { name: 'Roll back to v1' })).toBeVisible()
})

it('a page that failed as a whole is there once it is tried again', async () => {
  refused.set('/api/v1/me', 500)
  render(<App />)
  await router.navigate({ to: '/tokens' })
  expect(await screen.findByText('The disk is full.')).toBeVisible()
  // What failed is told to the console by who draws pages.
  said.mockClear()
  refused.clear()
  await userEvent.click(screen.getByRole('button', { name: 'Try again' }))
  expect(await screen.findByRole('heading', { level: 1, name: 'Tokens' })).toBeVisible()
  said.mockClear()
})

it('of an account one part alone fails', async () => {
  refused.set('/api/v1/me/totp', 500)
  answers['/api/v1/sessions'] = []
  answers['/api/v1/me/identities'] = []
  answers['/api/v1/me'] = { ...owner, email: 'ada@example.org' }
  render(<App />)
  await router.navigate({ to: '/settings/account' })
  expect(await screen.findByRole('heading', { level: 1, name: 'Your account' })).toBeVisible()
  const trouble = await screen.findByText('The disk is full.')
  refused.clear()
  answers['/api/v1/me/totp'] = { enabled: false, recovery_codes: 0 }
  await userEvent.click(screen.getByRole('button', { name: 'Try again' }))
  expect(await screen.findByRole('button', { name: 'Set up' })).toBeVisible()
  await waitFor(() => expect(trouble).not.toBeInTheDocument())
})

it('what is looked at of the deployments is in the address, which one leaves as it is by going through the fields', async () => {
  render(<App />)
  await router.navigate({ to: '/deployments', search: { app: 'shop', environment: 'staging', cursor: '5' } })
  expect(await screen.findByRole('heading', { level: 1, name: 'Deployments' })).toBeVisible()
  expect([screen.getByLabelText('App'), screen.getByLabelText('Environment')].map((field) => (field as HTMLInputElement).value)).toEqual(['shop', 'staging'])
  await userEvent.click(screen.getByLabelText('App'))
  await userEvent.tab()
  await userEvent.tab()
  expect(router.latestLocation.search).toMatchObject({ cursor: '5' })
  await userEvent.clear(screen.getByLabelText('Environment'))
  await userEvent.tab()
  await waitFor(() => expect(router.latestLocation.href).toBe('/deployments?app=shop'))
  await router.navigate({ to: '/deployments', search: { app: 'blog' } })
  await waitFor(() => expect(screen.getByLabelText('App')).toHaveValue('blog'))
})

it('a deployment begins when the clocks of the chosen zone say so', async () => {
  setPreferences({ zone: 'Asia/Tokyo' })
  answers['/api/v1/apps/shop/environments/production'] = environment('production', 2)
  const shop = answers['/api/v1/apps/shop'] as object
  answers['/api/v1/apps/shop'] = { ...shop, source: { kind: 'git', url: 'https://example.org/shop.git' } }
  posted.length = 0
  render(<App />)
  await router.navigate({ to: '/apps/$app/$environment', params: { app: 'shop', environment: 'production' } })
  await userEvent.click(await screen.findByRole('button', { name: 'Deploy' }))
  const dialog = await screen.findByRole('dialog', { name: 'Deploy shop to production' })
  fireEvent.change(within(dialog).getByLabelText('Not before'), { target: { value: '2036-11-22T09:00' } })
  await userEvent.click(within(dialog).getByRole('button', { name: 'Deploy' }))
  await waitFor(() => expect(posted).toEqual([{ priority: 'normal', not_before: '2036-11-22T00:00:00.000Z' }]))
  setPreferences({ zone: undefined })
  answers['/api/v1/apps/shop'] = shop
})

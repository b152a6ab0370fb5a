// Setting things up, and looking at a deployment before it is one: what is shown first, and what exactly is sent.
import { render, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { App, client, router } from '@/app'
import type { Overview, Plan, RetentionPolicy, Role, Simulation, StallLimits, Sweep } from '@/api/schema'

const AT = '2026-11-21T20:00:00Z'
const DIGEST = '3f2a9c1d04be'.repeat(5)
const environment = {
  id: 'env_1',
  app: 'shop',
  name: 'production',
  urls: ['http://shop.localhost'],
  instances: [],
  in_progress: [],
  traffic: [],
  host: 'h',
  supersede: 'run_all',
  created_at: AT,
  active: { release: 'r', release_number: 7, deployment: 'dep_1', since: AT },
}
const app = { id: 'app_1', name: 'shop', concurrency: 2, created_at: AT, source: { kind: 'git', url: '/srv/shop', reference: 'main' }, environments: [environment] }
const nothing = { added: [], removed: [], changed: [] }
const plan = {
  app: 'shop',
  environment: 'production',
  kind: 'deploy',
  digest: DIGEST,
  created_at: AT,
  created_by: 'Ada',
  expires_at: '2036-11-22T20:00:00Z',
  commit: { sha: 'abcdef0123456789', summary: 'Sails are mended', author: 'Ada', time: 1_800_000_000 },
  release: { digest: 'd' },
  live: { release: 'rel_7', number: 7, artifact: 'a' },
  findings: [],
  steps: [
    { stage: 'build', kind: 'undoable', action: 'run', reason: 'builds it', touches: [{ kind: 'command', command: 'make' }], undo: 'its commands are ended' },
    { stage: 'release_command', kind: 'undoable', action: 'skip', reason: 'no component has one', touches: [], undo: 'x' },
  ],
  start: { ahead: 0 },
  duration: { median_ms: 12_300, p90_ms: 70_000, samples: 8 },
  downtime: { expected_ms: 0, components: [{ component: 'web', expected: 'none', reason: 'the new one is healthy first' }], notes: [] },
  differences: { commits: { added: [], removed: [] }, components: nothing, variables: { ...nothing, added: ['TOKEN'] }, routes: [], configuration: [] },
} as unknown as Plan
const simulation: Simulation = {
  app: 'shop',
  environment: 'production',
  plan: DIGEST,
  runs: [
    { ends: 'active', stuck: false, serves: 'the new release serves', steps: [], left: [] },
    { fails_at: 'build', ends: 'failed', stuck: false, serves: 'v7 keeps serving', steps: [{ stage: 'build', end: 'failed' }], left: ['nothing'] },
  ],
}
const keep = { releases: 10, outputs: '14d', events: '90d', deployments: '365d', keys: '1d' }
const sweep: Sweep = { releases: 3, release_bytes: 2048, outputs: 0, output_bytes: 0, events: 12, deployments: 0, keys: 0, busy_apps: 0 }

const said = vi.fn()
const sent: { method: string; path: string; body: unknown }[] = []
let answers: Record<string, unknown>

const as = (role: Role) => ({ principal: 'usr_1', name: 'Ada', email: 'ada@example.org', grants: { everywhere: role, apps: {} } })

beforeEach(() => {
  said.mockClear()
  vi.spyOn(console, 'error').mockImplementation(said)
  client.clear()
  sent.length = 0
  answers = {
    '/api/v1/me': as('owner'),
    '/api/v1/apps': { items: [app] },
    '/api/v1/apps/shop': app,
    '/api/v1/apps/shop/releases': { items: [] },
    '/api/v1/apps/shop/approval-policies': [
      { environment: 'production', required: 1, role: 'admin', rollbacks: false, bypasses: true, expires_in: '4h', changed_at: AT, changed_by: 'Eve' },
    ],
    '/api/v1/windows': [],
    '/api/v1/deployments': { items: [] },
    '/api/v1/overview': { apps: [], needs_you: [], queued: 0, running: 0 } satisfies Overview,
    [`/api/v1/plans/${DIGEST}/simulation`]: simulation,
    '/api/v1/retention': { keep, set: { outputs: '14d' }, apps: ['shop'] } satisfies RetentionPolicy,
    '/api/v1/retention/plan': sweep,
    // oxlint-disable-next-line unicorn/no-thenable -- the API's own name
    '/api/v1/stalls': { own: false, policy: { silence: '5m', heartbeat: '5m', phases: { building: '30m' }, then: 'report' } } satisfies StallLimits,
    '/api/v1/certificates': [],
    '/api/v1/cluster': { servers: [], hosts: [{ name: 'h', live: true }], answered_by: 'srv_1' },
    '/api/v1/server': { version: '1', started_at: AT, database: 'sqlite', domain: 'localhost', ingress: '127.0.0.1:8080' },
    '/api/v1/sessions': [],
  }
  vi.stubGlobal('fetch', async (request: Request | string) => {
    if (typeof request === 'string') return new Promise(() => {})
    const { pathname } = new URL(request.url)
    const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
    if (pathname.endsWith('/stream')) return new Promise(() => {})
    if (request.method !== 'GET') {
      sent.push({ method: request.method, path: pathname, body: await request.json().catch(() => undefined) })
      if (pathname.endsWith('/plans')) return json(plan, 201)
      if (request.method === 'DELETE') return json({ app: 'shop', environments: ['production'], releases: 7 })
      return json({ id: 'dep_2', ...sweep })
    }
    return pathname in answers ? json(answers[pathname]) : json({ detail: `no ${pathname}`, title: 'Not found', status: 404, code: 'not_found' }, 404)
  })
})
afterEach(() => {
  vi.unstubAllGlobals()
  expect(said.mock.calls).toEqual([])
})

it('a deployment is looked at first, and then deployed exactly as it was seen', async () => {
  render(<App />)
  await router.navigate({ to: '/apps/$app', params: { app: 'shop' } })
  await userEvent.click(await screen.findByRole('button', { name: /Deploy shop \/ production/ }))
  const dialog = await screen.findByRole('dialog')
  expect(dialog).toHaveAccessibleName('Deploy shop to production')
  // Whose yes it takes is said before.
  expect(await within(dialog).findByText('It waits until one person approved of it.')).toBeVisible()
  await userEvent.type(within(dialog).getByLabelText('Branch, tag or commit'), 'v2')
  await userEvent.click(within(dialog).getByText('Tags and metadata'))
  await userEvent.type(within(dialog).getByLabelText('Metadata'), 'ticket = SHOP-12')
  await userEvent.click(within(dialog).getByRole('button', { name: 'See what it would do' }))
  expect(await within(dialog).findByText('A new release is made, and serves in the place of v7.')).toHaveFocus()
  const steps = within(dialog).getByRole('region', { name: 'Steps' })
  expect(steps).toHaveTextContent('Builds it.')
  expect(steps).toHaveTextContent('nothing to do')
  expect(within(dialog).getByRole('region', { name: 'What changes' })).toHaveTextContent('TOKEN')
  expect(within(dialog).getByText('none expected')).toBeVisible()
  await userEvent.click(within(dialog).getByRole('button', { name: 'What if a step fails' }))
  const failures = await within(dialog).findByRole('region', { name: 'What if a step fails' })
  expect(await within(failures).findByText('Then v7 keeps serving.')).toBeVisible()
  await userEvent.click(within(dialog).getByRole('button', { name: 'Deploy exactly this' }))
  await waitFor(() => expect(sent).toEqual([
    { method: 'POST', path: '/api/v1/apps/shop/environments/production/plans', body: { reference: 'v2' } },
    { method: 'POST', path: '/api/v1/apps/shop/environments/production/deployments', body: { priority: 'normal', plan: DIGEST, metadata: { ticket: 'SHOP-12' } } },
  ]))
})

it('what a freeze holds goes past it with a reason, by whoever may', async () => {
  answers['/api/v1/windows'] = [{ id: 'win_1', rule: { kind: 'freeze', from: AT, reason: 'the sale' }, now: true, created_by: 'Eve', created_at: AT }]
  render(<App />)
  await router.navigate({ to: '/apps/$app', params: { app: 'shop' } })
  await userEvent.click(await screen.findByRole('button', { name: /Deploy shop \/ production/ }))
  const dialog = await screen.findByRole('dialog', { name: 'Deploy shop to production' })
  expect(await within(dialog).findByText(/held now by a freeze: the sale/)).toBeVisible()
  await userEvent.click(within(dialog).getByRole('button', { name: 'Go past it' }))
  await userEvent.type(within(dialog).getByLabelText('Past a closed window, because'), 'the shop is down')
  await userEvent.click(within(dialog).getByRole('button', { name: 'Deploy' }))
  await waitFor(() => expect(sent.map(({ body }) => body)).toEqual([{ priority: 'critical', bypass_window: 'the shop is down' }]))
})

it('an app is deleted when its name was typed, and says before what ends', async () => {
  render(<App />)
  await router.navigate({ to: '/apps/$app/settings', params: { app: 'shop' } })
  await userEvent.click(await screen.findByRole('button', { name: 'Delete the app' }))
  const question = await screen.findByRole('dialog', { name: 'Delete shop?' })
  expect(question).toHaveTextContent('production serves v7 now: http://shop.localhost answers no more.')
  await userEvent.click(within(question).getByRole('button', { name: 'Delete' }))
  expect(sent).toEqual([])
  await userEvent.type(within(question).getByLabelText(/^Type/), 'shop')
  await userEvent.click(within(question).getByRole('button', { name: 'Delete' }))
  await waitFor(() => expect(sent).toEqual([{ method: 'DELETE', path: '/api/v1/apps/shop', body: undefined }]))
  expect(await screen.findByText('shop is deleted, with 1 environment and 7 releases.')).toBeVisible()
})

it('what is left as it was stays that of the server', async () => {
  render(<App />)
  await router.navigate({ to: '/apps/$app/settings', params: { app: 'shop' } })
  expect(await screen.findByText('90 days')).toBeVisible()
  await userEvent.click(screen.getByRole('button', { name: 'Change how long things are kept' }))
  const dialog = await screen.findByRole('dialog')
  await userEvent.selectOptions(within(dialog).getByLabelText('Events'), 'for ever')
  await userEvent.click(within(dialog).getByRole('button', { name: 'Change' }))
  await waitFor(() => expect(sent).toEqual([{ method: 'PUT', path: '/api/v1/retention', body: { events: 'forever' } }]))
  await userEvent.click(await screen.findByRole('button', { name: 'Change when a deployment is stalled' }))
  const limits = await screen.findByRole('dialog', { name: /stalled/ })
  await userEvent.selectOptions(within(limits).getByLabelText('Building'), '1 hour')
  await userEvent.click(within(limits).getByRole('button', { name: 'Change' }))
  // oxlint-disable-next-line unicorn/no-thenable -- the API's own name
  await waitFor(() => expect(sent.at(-1)?.body).toEqual({ silence: '5m', heartbeat: '5m', phases: { building: '1h' }, then: 'report' }))
})

it('what is old enough is shown before it goes', async () => {
  render(<App />)
  await router.navigate({ to: '/settings' })
  await userEvent.click(await screen.findByRole('button', { name: 'What is old enough' }))
  const dialog = await screen.findByRole('dialog', { name: 'What is old enough to go' })
  expect(await within(dialog).findByText('of 3 releases, 2.0 KiB')).toBeVisible()
  await userEvent.click(within(dialog).getByRole('button', { name: 'Remove it now' }))
  await waitFor(() => expect(sent).toEqual([{ method: 'POST', path: '/api/v1/retention/runs', body: undefined }]))
})

it('a viewer sees how everything is set up, and why nothing of it can be changed', async () => {
  answers['/api/v1/me'] = as('viewer')
  render(<App />)
  await router.navigate({ to: '/apps/$app/settings', params: { app: 'shop' } })
  const needs = (name: string | RegExp, role: string) =>
    expect(screen.getByRole('button', { name })).toHaveAccessibleDescription(`This needs the role ${role} in shop; yours is viewer`)
  await screen.findByRole('button', { name: 'Delete the app' })
  needs('Delete the app', 'owner')
  needs('Delete production', 'owner')
  needs('New environment', 'admin')
  needs('Change the source', 'admin')
  needs('Change how many at the same time', 'admin')
  await router.navigate({ to: '/settings' })
  const restart = await screen.findByRole('button', { name: 'Restart the ingress' })
  expect(restart).toHaveAccessibleDescription('This needs the role admin on this server; yours is viewer')
  expect(await screen.findByRole('button', { name: 'Add a certificate' })).toHaveAttribute('aria-disabled', 'true')
})

// Things that are done over several steps: what is shown before, what is sent, and what is asked between.
import { render, screen, waitFor, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { App, client, router } from '@/app'
import type { Approval, PromotionReport } from '@/api/schema'

const AT = '2026-11-21T20:00:00Z'
const environment = (name: string, number: number) => ({
  id: name,
  app: 'shop',
  name,
  urls: [],
  instances: [],
  in_progress: [],
  traffic: [],
  host: 'h',
  active: { release: 'r', release_number: number, deployment: 'dep_1', since: AT },
})
const report: PromotionReport = {
  app: 'shop',
  from: 'staging',
  to: 'production',
  promoted: { release: 'rel_7', number: 7, artifact: 'a' },
  live: { release: 'rel_5', number: 5, artifact: 'b' },
  findings: [{ severity: 'blocking', code: 'missing_variables', message: 'production lacks `TOKEN`', hint: 'set it', variables: ['TOKEN'] }],
  variables: [
    { name: 'TOKEN', comparison: 'only_in_source' },
    { name: 'PORT', comparison: 'same' },
  ],
  commits: { added: [{ sha: 'abcdef0123456789', summary: 'Sails are mended', author: 'Ada', time: 1_800_000_000 }], removed: [] },
  configuration: [{ setting: 'components/web/serve/instances', live: 1, promoted: 2 }],
  routes: [],
  release_commands: ['./migrate'],
}
const approval: Approval = {
  id: 'apr_1',
  kind: 'deployment',
  deployment: 'dep_9',
  deployment_kind: 'deploy',
  app: 'shop',
  environment: 'production',
  subject: 'commit:abc#1',
  subject_note: 'Sails are mended',
  requested_by: 'Vera',
  required: 1,
  got: 0,
  role: 'admin',
  state: 'pending',
  votes: [],
  may_vote: true,
  created_at: AT,
  expires_at: '2026-11-29T20:00:00Z',
}
const channel = { id: 'chn_1', kind: 'slack', name: 'on call', address: 'https://hooks.example.org', topics: ['deployment_failed'], environments: [], enabled: true, created_by: 'Ada', created_at: AT }

const said = vi.fn()
const sent: { method: string; path: string; body: unknown }[] = []
const previewed: string[] = []
let answers: Record<string, unknown>
/** What is refused once, because the sign-in is too old. */
const stale = new Set<string>()

beforeEach(() => {
  said.mockClear()
  vi.spyOn(console, 'error').mockImplementation(said)
  client.clear()
  sent.length = 0
  stale.clear()
  answers = {
    '/api/v1/me': { principal: 'usr_1', name: 'Ada', email: 'ada@example.org', grants: { everywhere: 'owner', apps: {} } },
    '/api/v1/apps': { items: [{ id: 'app_1', name: 'shop' }] },
    '/api/v1/apps/shop': { id: 'app_1', name: 'shop', environments: [environment('production', 5), environment('staging', 7)], concurrency: 2 },
    '/api/v1/deployments': { items: [] },
    '/api/v1/apps/shop/releases': { items: [] },
    '/api/v1/apps/shop/environments/production/promotions/plan': report,
    '/api/v1/invitations': [],
    '/api/v1/users': { items: [] },
    '/api/v1/approvals': { items: [approval] },
    '/api/v1/notices': { items: [{ cursor: 9, at: AT, topic: 'deployment_failed', level: 'failure', app: 'shop', title: 'shop failed', path: '/deployments/dep_9' }], unseen: 1, seen: 4 },
    '/api/v1/channels': [channel],
    '/api/v1/mutes': [],
    '/api/v1/schedules': [],
    '/api/v1/windows': [],
    '/api/v1/queue': { items: [] },
    '/api/v1/queue/timeline': { from: AT, until: '2026-11-22T20:00:00Z', spans: [], truncated: false },
    '/api/v1/diagnosis': { items: [] },
  }
  vi.stubGlobal('fetch', async (request: Request | string) => {
    if (typeof request === 'string') return new Promise(() => {})
    const { pathname } = new URL(request.url)
    const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status, headers: { 'content-type': 'application/json' } })
    if (pathname === '/api/v1/cron/preview') {
      const { cron, zone } = (await request.json()) as { cron: string; zone: string }
      previewed.push(cron)
      if (cron.startsWith('61')) return json({ title: 'It can’t be done', status: 422, code: 'unprocessable', detail: '`61` is not a minute', hint: 'minutes are 0 to 59' }, 422)
      return json({ cron, words: 'at 06:00, on Monday to Friday', runs: [{ at: AT, there: '2026-11-23 06:00 CET', here: `2026-11-23 05:00 in ${zone}` }] })
    }
    if (request.method !== 'GET') {
      sent.push({ method: request.method, path: pathname, body: await request.json().catch(() => undefined) })
      if (stale.delete(pathname)) return json({ title: 'Confirm', status: 403, code: 'confirm_identity', detail: 'confirm that it is you' }, 403)
      if (pathname.endsWith('/votes')) {
        answers['/api/v1/approvals'] = { items: [{ ...approval, state: 'approved', got: 1 }] }
        return json({ ...approval, state: 'approved', got: 1 })
      }
      if (pathname.endsWith('/test')) return json({ arrived: false, status: 410, said: 'gone', took_ms: 12 })
      if (pathname.endsWith('/schedules')) return json({ id: 'sch_1', name: 'nightly', cron: '30 2 * * * Europe/Berlin', upcoming: [AT] }, 201)
      return json({ id: 'dep_2', seen: 9, invitation: { id: 'inv_1', role: 'viewer', email: 'zoe@example.org', expires_at: '2026-11-29T20:00:00Z', created_at: AT, created_by: 'Ada' }, secret: 'inv_secret' }, 200)
    }
    return pathname in answers ? json(answers[pathname]) : json({ detail: `no ${pathname}`, title: 'Not found', status: 404, code: 'not_found' }, 404)
  })
})
afterEach(() => {
  vi.unstubAllGlobals()
  expect(said.mock.calls).toEqual([])
})

it('a promotion shows the comparison first, and wants a reason against what blocks it', async () => {
  render(<App />)
  await router.navigate({ to: '/apps/$app', params: { app: 'shop' } })
  await userEvent.click(await screen.findByRole('button', { name: /Promote shop \/ staging/ }))
  const dialog = await screen.findByRole('dialog', { name: 'Promote shop from staging' })
  const change = await within(dialog).findByRole('region', { name: 'What changes' })
  expect(change).toHaveTextContent('v5')
  expect(change).toHaveTextContent('Sails are mended')
  expect(change).toHaveTextContent('TOKEN is only in staging')
  expect(change).toHaveTextContent('1 variable with the same value')
  expect(within(dialog).getByText('1 release command will be run in production', { exact: false })).toBeVisible()
  const go = () => within(dialog).getByRole('button', { name: /Promote v7 to production/ })
  expect(go()).toHaveAccessibleDescription('Say above why it is right all the same')
  await userEvent.click(go())
  expect(sent).toEqual([])
  await userEvent.type(within(dialog).getByLabelText('Promote all the same, because'), 'it has a default')
  await userEvent.click(go())
  await waitFor(() => expect(sent).toEqual([
    { method: 'POST', path: '/api/v1/apps/shop/environments/production/promotions', body: { from: 'staging', release: 7, force: 'it has a default' } },
  ]))
})

it('one confirms who one is over an open dialog, which then does what it was about', async () => {
  stale.add('/api/v1/invitations')
  render(<App />)
  await router.navigate({ to: '/people' })
  await userEvent.click(await screen.findByRole('button', { name: 'Invite' }))
  const dialog = await screen.findByRole('dialog')
  await userEvent.type(within(dialog).getByLabelText('E-mail'), 'zoe@example.org')
  await userEvent.click(within(dialog).getByRole('button', { name: 'Make the link' }))
  const question = await screen.findByRole('dialog', { name: 'Confirm that it is you' })
  const password = within(question).getByLabelText('Password')
  await userEvent.click(password)
  await userEvent.type(password, 'Kestrel')
  expect(password).toHaveValue('Kestrel')
  await userEvent.click(within(question).getByRole('button', { name: 'Confirm' }))
  await waitFor(() => expect(sent.map(({ path }) => path)).toEqual(['/api/v1/invitations', '/api/v1/auth/confirm', '/api/v1/invitations']))
  expect(sent[1]?.body).toEqual({ password: 'Kestrel' })
  await waitFor(() => expect(screen.queryByRole('dialog', { name: 'Confirm that it is you' })).toBeNull())
  // The dialog below is still there, with the answer.
  expect(await screen.findByLabelText('Link of the invitation')).toHaveTextContent('inv_secret')
})

it('a vote is for what was seen, with a comment', async () => {
  render(<App />)
  await router.navigate({ to: '/approvals' })
  expect(await screen.findByRole('heading', { level: 1, name: 'Approvals' })).toBeVisible()
  await userEvent.click((await screen.findAllByRole('button', { name: 'Approve' }))[0] as HTMLElement)
  const dialog = await screen.findByRole('dialog', { name: 'Approve of this?' })
  expect(dialog).toHaveTextContent('commit:abc#1')
  await userEvent.type(within(dialog).getByLabelText('Comment'), 'looks right')
  await userEvent.click(within(dialog).getByRole('button', { name: 'Approve' }))
  await waitFor(() => expect(sent).toEqual([
    { method: 'POST', path: '/api/v1/approvals/apr_1/votes', body: { subject: 'commit:abc#1', verdict: 'approve', comment: 'looks right' } },
  ]))
  expect((await screen.findAllByText('Approved', { exact: true })).length).toBeGreaterThan(0)
})

it('notices are seen by looking at them, and a channel says what came of its test', async () => {
  render(<App />)
  await router.navigate({ to: '/notifications' })
  const list = await screen.findByRole('list', { name: 'Notices, the newest first' })
  expect(within(list).getByRole('link', { name: /shop failed/ })).toHaveAttribute('href', '/deployments/dep_9')
  expect(list).toHaveTextContent('New')
  await waitFor(() => expect(sent).toContainEqual({ method: 'PUT', path: '/api/v1/notices/seen', body: { cursor: 9 } }))
  await userEvent.click(screen.getByRole('button', { name: 'Test on call' }))
  expect(await screen.findByText('The test did not arrive at on call')).toBeVisible()
  await userEvent.selectOptions(within(screen.getByRole('form', { name: 'Mute an app' })).getByLabelText('App'), 'shop')
  await userEvent.click(screen.getByRole('button', { name: 'Mute' }))
  await waitFor(() => expect(sent).toContainEqual({ method: 'PUT', path: '/api/v1/mutes/shop', body: { until: 'in 8h' } }))
})

it('a cron expression is said in words when one pauses, and what is wrong with it at its field', async () => {
  render(<App />)
  await router.navigate({ to: '/queue' })
  await userEvent.click(await screen.findByRole('button', { name: 'New schedule' }))
  const dialog = await screen.findByRole('dialog', { name: 'New schedule' })
  await userEvent.selectOptions(within(dialog).getByLabelText('Runs'), 'As a cron expression')
  const field = within(dialog).getByLabelText('Cron expression')
  previewed.length = 0
  await userEvent.clear(field)
  await userEvent.type(field, '61 6 * * MON-FRI')
  expect(await within(dialog).findByRole('alert')).toHaveTextContent('61 is not a minute. Minutes are 0 to 59.')
  expect(field).toBeInvalid()
  // Not at each letter: no part of an expression was asked for.
  expect(previewed.filter((cron) => !/^61 6 \* \* \S/.test(cron))).toEqual([])
  await userEvent.clear(field)
  await waitFor(() => expect(within(dialog).queryByRole('alert')).toBeNull())
  await userEvent.type(field, '0 6 * * MON-FRI')
  expect(await within(dialog).findByText('At 06:00, on Monday to Friday.')).toBeVisible()
  expect(field).toBeValid()
})

it('a schedule is made in words, and sent as a cron expression with its zone', async () => {
  render(<App />)
  await router.navigate({ to: '/queue' })
  await userEvent.click(await screen.findByRole('button', { name: 'New schedule' }))
  const dialog = await screen.findByRole('dialog', { name: 'New schedule' })
  await within(dialog).findByRole('option', { name: 'shop' })
  await userEvent.selectOptions(within(dialog).getByLabelText('App'), 'shop')
  await userEvent.type(within(dialog).getByLabelText('Name'), 'nightly')
  await userEvent.selectOptions(within(dialog).getByLabelText('Runs'), 'Monday to Friday')
  await userEvent.selectOptions(within(dialog).getByLabelText('Time zone'), 'Europe/Berlin')
  const runs = await within(dialog).findByRole('table', { name: 'Next runs' })
  await waitFor(() => expect(previewed.at(-1)).toBe('0 6 * * MON-FRI Europe/Berlin'))
  expect(within(dialog).getByText('At 06:00, on Monday to Friday.')).toBeVisible()
  expect(within(runs).getByRole('cell', { name: '2026-11-23 06:00 CET' })).toBeVisible()
  await userEvent.click(within(dialog).getByRole('button', { name: 'Make the schedule' }))
  await waitFor(() => expect(sent.at(-1)).toEqual({
    method: 'POST',
    path: '/api/v1/schedules',
    body: { app: 'shop', environment: 'production', name: 'nightly', cron: '0 6 * * MON-FRI Europe/Berlin', missed: 'run_once', order: { priority: 'normal' } },
  }))
})

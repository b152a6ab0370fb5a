import { expect, it } from 'vitest'
import type { Deployment, PhaseFigures } from '@/api/schema'
import { steps, timeLeft } from '@/features/deployment/phases'
import { needOf } from '@/features/overview/needs'
import { changes } from '@/features/rollback/changes'
import { rank } from '@/layout/rank'
import { fieldOf } from '@/ui/form'
import { ApiError } from '@/api/errors'

const deployment = (id: string, phase: Deployment['phase'], more: Partial<Deployment> = {}): Deployment => ({
  id,
  app: 'shop',
  environment: 'production',
  kind: 'deploy',
  generation: 1,
  phase,
  progress: 0,
  metadata: {},
  phases: [],
  cancelling: false,
  requested_by: 'ada',
  created_at: '2026-11-21T20:00:00Z',
  updated_at: '2026-11-21T20:00:00Z',
  ...more,
})

it('what needs somebody says what, where and why, and leads there', () => {
  const trouble = { deployment: 'dep_2', app: 'shop', environment: 'production', phase: 'failed' as const, at: '2026-11-21T20:05:00Z' }
  expect(needOf({ kind: 'failed', ...trouble, why: 'npm ci ended with 1' })).toMatchObject({
    key: 'dep_2',
    tone: 'bad',
    title: 'shop / production failed to deploy',
    why: 'npm ci ended with 1',
    link: { to: '/deployments/$deployment', params: { deployment: 'dep_2' } },
  })
  expect(needOf({ kind: 'failed', ...trouble, phase: 'rolled_back', why: '' }).title).toBe('shop / production was rolled back')
  expect(needOf({ kind: 'stalled', ...trouble, why: 'no output' })).toMatchObject({ tone: 'warn', title: 'shop / production shows no progress' })
  expect(needOf({ kind: 'stuck', ...trouble, why: 'no disk' })).toMatchObject({ tone: 'bad', title: 'shop / production is stuck' })
  const loop = needOf({ kind: 'crash_loop', app: 'shop', environment: 'staging', instances: 2, last_exit: 'exit status 1', at: trouble.at })
  expect(loop).toMatchObject({ title: 'shop / staging keeps crashing', why: '2 instances, last ended with: exit status 1' })
  const vote = {
    kind: 'approval' as const,
    approval: 'apr_1',
    deployment: 'dep_3',
    app: 'shop',
    environment: 'production',
    requested_by: 'Ann',
    what: '0123456 faster',
    expires_at: trouble.at,
    at: trouble.at,
  }
  expect(needOf(vote)).toMatchObject({
    key: 'apr_1',
    tone: 'warn',
    title: 'shop / production waits for your vote',
    why: 'Ann asks for 0123456 faster',
    link: { to: '/deployments/$deployment', params: { deployment: 'dep_3' } },
  })
  const channel = { kind: 'channel' as const, channel: 'chn_1', name: 'on call', enabled: true, at: trouble.at }
  expect(needOf(channel)).toMatchObject({ title: 'The channel on call does not work', why: 'Messages to it do not arrive.', link: { to: '/notifications' } })
  expect(needOf({ ...channel, app: 'shop', enabled: false })).toMatchObject({ title: 'The channel on call of shop does not work' })
  const certificate = { kind: 'certificate' as const, certificate: 'crt_1', names: ['a.example', 'b.example'], why: 'it ends in 3 days', at: trouble.at }
  expect(needOf({ ...certificate, state: 'expiring' })).toMatchObject({ tone: 'warn', title: 'The certificate of a.example, b.example expires soon' })
  const expired = needOf({ ...certificate, state: 'expired' })
  // There is no page for certificates.
  expect([expired.tone, expired.link]).toEqual(['bad', undefined])
})

it('what a newer server tells is shown in its words, and leads as near as can be', () => {
  const told = (need: object) => needOf(need as Parameters<typeof needOf>[0])
  const at = '2026-11-21T20:05:00Z'
  expect(told({ kind: 'budget_spent', app: 'shop', environment: 'production', why: 'too many errors', at })).toMatchObject({
    tone: 'warn',
    title: 'Budget spent: shop / production',
    why: 'too many errors',
    at,
    link: { to: '/apps/$app/$environment' },
  })
  expect(told({ kind: 'pier', pier: 'pie_1', name: 'east', at })).toMatchObject({ key: 'pier pie_1', title: 'Pier: east', link: undefined })
  expect(told({ kind: 'pier', pier: 'pie_1', at }).why).toMatch(/Load it again/)
  expect(told({ kind: 'pier', app: 'shop', deployment: 'dep_1', at }).link).toMatchObject({ params: { deployment: 'dep_1' } })
  expect(Number.isNaN(Date.parse(told({ kind: 'pier' }).at))).toBe(false)
})

it('phases: behind, now, ahead, and how long it still takes', () => {
  const at = (second: number) => new Date(Date.UTC(2026, 10, 21, 20, 0, second)).toISOString()
  const running = deployment('dep_1', 'building', {
    phases: [
      { phase: 'queued', started_at: at(0), finished_at: at(1) },
      { phase: 'pulling_source', started_at: at(1), finished_at: at(3) },
      { phase: 'building', started_at: at(3) },
    ],
  })
  const usual = (phase: PhaseFigures['phase'], p50_ms: number): PhaseFigures => ({ phase, good: { count: 5, p50_ms }, failed: { count: 0 } })
  const list = steps(running, [usual('pulling_source', 2000), usual('building', 20_000), usual('health_check', 4000)])
  expect(list.map(({ phase, state }) => `${phase} ${state}`)).toEqual(['pulling_source done', 'building now', 'health_check ahead'])
  expect(timeLeft(list, Date.parse(at(8)))).toBe(19_000)
  expect(timeLeft(steps(running), Date.parse(at(8)))).toBeUndefined()
  const failed = { ...running, phase: 'failed' as const, finished_at: at(9), failure: { phase: 'building' as const, cause: 'build' as const, message: 'x', hint: 'y' } }
  expect(steps(failed).map(({ state }) => state)).toEqual(['done', 'failed'])
  expect(timeLeft(steps(failed), Date.parse(at(9)))).toBeUndefined()
})

it('what a rollback changes is said in sentences', () => {
  const component = (name: string, path: string) => ({
    name,
    depends_on: [],
    env: {},
    root: '.',
    routes: [{ path }],
    serve: { kind: 'command', command: 'run' },
    health: { probe: { kind: 'running' } },
  })
  type Of = Parameters<typeof changes>[0]
  const from = { spec: { builds: [], components: [component('web', '/'), component('worker', '/w')] }, variables: ['A'] } as unknown as Of
  const to = { spec: { builds: [], components: [component('web', '/new')] }, variables: ['A', 'B'] } as unknown as Of
  expect(changes(from, to)).toEqual(['The component worker goes', 'The routes of web change', 'It is given the variable B'])
  expect(changes(from, from)).toEqual([])
})

it('the palette finds the beginning before the middle, and letters in their order', () => {
  const found = rank([{ word: 'workshop' }, { word: 'shop / production' }, { word: 'site', also: 'shop' }, { word: 'queue' }], 'shop')
  expect(found.map(({ word }) => word)).toEqual(['site', 'shop / production', 'workshop'])
  expect(rank([{ word: 'shop / production' }], 'spr')).toHaveLength(1)
  expect(rank([{ word: 'a' }, { word: 'b' }], '')).toHaveLength(2)
})

it('a problem is shown at the field that it names', () => {
  const error = (detail: string) => new ApiError({ title: '', status: 400, code: 'invalid', detail })
  expect(fieldOf(error('the field `reference` begins with a hyphen'), { reference: '', priority: '' })).toBe('reference')
  expect(fieldOf(error('something else'), { reference: '' })).toBeUndefined()
  const cannot = (detail: string) => new ApiError({ title: '', status: 422, code: 'unprocessable', detail })
  expect(fieldOf(cannot('`server.port`: 1 to 65535'), { host: '', port: '' })).toBe('port')
  expect(fieldOf(cannot('`issuer`: the provider was not reached'), { name: '', issuer: '' })).toBe('issuer')
  expect(fieldOf(cannot('run `name` first'), { name: '' })).toBeUndefined()
})

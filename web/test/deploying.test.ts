// What comes of the dialog that deploys, and what is said of a plan.
import { expect, it } from 'vitest'
import type { Deployment, ReleaseMetrics, Touch, Window } from '@/api/schema'
import { endOf, endsWithApp, held } from '@/features/app/end'
import { metadataOf, tagsOf } from '@/features/deploy/labels'
import { asUsual, orderOf, wrongIn } from '@/features/deploy/order'
import { ofDeployment } from '@/features/deployment/traffic'
import { estimated, headline, stageWord, startsIn, touched } from '@/features/deploy/words'
import { spanInWords, withChosen } from '@/features/settings/spans'
import { heldBy } from '@/features/windows/held'

it('an order says what was chosen, and nothing else', () => {
  const usual = asUsual('UTC')
  expect(orderOf(usual)).toEqual({ priority: 'normal' })
  expect(orderOf({ ...usual, reference: ' v2 ', tags: 'v2, nightly v2', metadata: 'ticket = SHOP-12\n\nby= Ada = Eve ' })).toEqual({
    priority: 'normal',
    reference: 'v2',
    tags: ['v2', 'nightly'],
    metadata: { ticket: 'SHOP-12', by: 'Ada = Eve' },
  })
  // The zone is that of the clocks which were meant.
  expect(orderOf({ ...usual, not_before: { local: '2026-12-01T09:30', zone: 'Europe/Berlin', later: false } }).not_before).toBe('2026-12-01T08:30:00.000Z')
})

it('a plan is deployed as it was seen, and only a critical order goes past a window', () => {
  const usual = { ...asUsual('UTC'), reference: 'main', plan: 'abc', bypass_window: ' the shop is down ' }
  expect(orderOf(usual)).toEqual({ priority: 'normal', plan: 'abc' })
  expect(orderOf({ ...usual, priority: 'critical' })).toEqual({ priority: 'critical', plan: 'abc', bypass_window: 'the shop is down' })
})

it('what is no order is told at its field', () => {
  const now = Date.parse('2026-11-21T20:00:00Z')
  expect(wrongIn(asUsual('UTC'), now)).toEqual({ not_before: undefined, metadata: undefined })
  const wrong = wrongIn({ ...asUsual('UTC'), metadata: 'ticket', not_before: { local: '2026-11-21T19:00', zone: 'UTC', later: false } }, now)
  expect(wrong.not_before).toBe('A time that is still to come')
  expect(wrong.metadata).toContain('“ticket”')
  expect(metadataOf('= x').wrong).toBeDefined()
  expect(tagsOf(' , ')).toEqual([])
})

const rule = (more: Partial<Window>): Window => ({
  id: 'win_1',
  rule: { kind: 'deploy', days: 'mon-fri', from: '09:00', to: '16:00', zone: 'UTC' },
  now: false,
  created_by: 'Ada',
  created_at: '2026-11-21T20:00:00Z',
  ...more,
})
const freeze = (more: Partial<Window> = {}) =>
  rule({ rule: { kind: 'freeze', from: '2026-11-21T20:00:00Z', reason: 'the sale' }, now: true, ...more })

it('deployments are held by a freeze, and by windows of which none is open', () => {
  expect(heldBy([], 'shop', 'production')).toBeUndefined()
  expect(heldBy([rule({}), rule({ now: true })], 'shop', 'production')).toBeUndefined()
  expect(heldBy([rule({ changes_at: '2026-11-23T09:00:00Z' })], 'shop', 'production')).toEqual({
    why: 'as the deploy window is closed: Mon to Fri, 09:00 to 16:00 UTC',
    until: '2026-11-23T09:00:00Z',
  })
  expect(heldBy([rule({ now: true }), freeze()], 'shop', 'production')?.why).toBe('by a freeze: the sale')
  expect(heldBy([freeze({ now: false })], 'shop', 'production')).toBeUndefined()
  expect(heldBy([freeze({ app: 'blog' }), freeze({ environment: 'staging' })], 'shop', 'production')).toBeUndefined()
})

it('a plan is told in a sentence', () => {
  const release = { digest: 'd' }
  const live = { release: 'rel_7', number: 7, artifact: 'a' }
  expect(headline({ kind: 'deploy', release, live })).toBe('A new release is made, and serves in the place of v7.')
  expect(headline({ kind: 'deploy', release, live: null })).toBe('A new release is made, and serves; nothing serves there yet.')
  expect(headline({ kind: 'deploy', release: { ...release, number: 6 }, live })).toBe('v6, which is made already, serves in the place of v7.')
  expect(headline({ kind: 'deploy', release, live, nothing_to_do: 'v7 serves already' })).toBe('Nothing to do: v7 serves already.')
  expect(startsIn({ ahead: 0 })).toBe('At once')
  expect(startsIn({ ahead: 2, waiting_for: 'a slot' })).toBe('It waits for a slot; 2 deployments before it in the queue')
  expect(estimated({ median_ms: 12_300, p90_ms: 70_000, samples: 8 })).toBe('about 12 s; nine of ten were done in 1 m 10 s (8 measurements)')
  expect(stageWord('pull_source')).toBe('Pull source')
})

it('each thing that a step touches has words', () => {
  const all: Touch[] = [
    { kind: 'workspace', change: 'makes' },
    { kind: 'claim', change: 'removes' },
    { kind: 'command', command: './migrate', component: 'web' },
    { kind: 'release_folder', change: 'uses', digest: 'abcdef0123456789' },
    { kind: 'instance', change: 'makes', name: 'dep_1-web-0', component: 'web' },
    { kind: 'route', change: 'switches', host: 'shop.localhost', path: '/', component: 'web' },
    { kind: 'static_link', change: 'makes', component: 'docs' },
  ]
  expect(all.map(touched)).toEqual([
    'Makes the workspace',
    'Removes the claim on the environment',
    'Runs `./migrate` of web',
    'Uses the release’s folder `abcdef012345`',
    'Makes the instance `dep_1-web-0`',
    'Switches the route `shop.localhost/` to web',
    'Makes the link to the files of docs',
  ])
})

it('the end of an app names what serves, and waits for what is at work', () => {
  const active = { release: 'r', release_number: 7, deployment: 'dep_1', since: '2026-11-21T20:00:00Z' }
  expect(endOf({ name: 'staging', urls: [], instances: [] })).toBe('staging, where nothing serves yet, is deleted.')
  expect(endOf({ name: 'production', active, urls: ['http://shop.localhost'], instances: [] })).toBe('production serves v7 now: http://shop.localhost answers no more.')
  expect(held([{ name: 'production', in_progress: ['dep_1'] }, { name: 'staging', in_progress: [] }])).toContain('production has not ended')
  expect(held([{ name: 'staging', in_progress: [] }])).toBeUndefined()
  expect(endsWithApp({ name: 'shop', environments: [] })).toHaveLength(2)
})

it('lengths of time have words', () => {
  expect(['14d', '1w', '1m 30s', 'forever', '1h30', '3y'].map(spanInWords)).toEqual(['14 days', '1 week', '1 minute 30 seconds', 'for ever', '1h30', '3 years'])
  expect(withChosen(['1m', '5m'], '90s')).toEqual(['90s', '1m', '5m'])
  expect(withChosen(['1m', '5m'], '5m')).toEqual(['1m', '5m'])
})

it('of a deployment the requests to its own release and to the one before are told', () => {
  const counted = (release: string): ReleaseMetrics => ({
    release,
    component: 'web',
    active: false,
    since: '2026-11-21T20:00:00Z',
    requests: 1,
    responses: { informational: 0, successful: 1, redirects: 0, client_errors: 0, server_errors: 0 },
    errors: { bad_gateway: 0, unavailable: 0, timeout: 0, aborted: 0, fallback: 0 },
    retries: 0,
    abandoned: 0,
    in_flight: 0,
    tunnels: 0,
    bytes_sent: 0,
    latency: { count: 0, mean_ms: 0, p50_ms: 0, p90_ms: 0, p95_ms: 0, p99_ms: 0, p999_ms: 0 },
  })
  const deployment = (more: Partial<Deployment>): Deployment => ({
    id: 'dep_1',
    app: 'shop',
    environment: 'production',
    kind: 'deploy',
    generation: 2,
    phase: 'active',
    progress: 100,
    release: 'v2',
    metadata: { switched_to: 'v2', previous_release: 'v1' },
    phases: [],
    cancelling: false,
    requested_by: 'Ada',
    created_at: '2026-11-21T20:00:00Z',
    updated_at: '2026-11-21T20:00:00Z',
    ...more,
  })
  const told = (all: string[], more: Partial<Deployment> = {}) => ofDeployment(all.map(counted), deployment(more)).map(({ release }) => release)
  expect(told(['v4', 'v3', 'v2', 'v1'])).toEqual(['v2', 'v1'])
  // A rollback goes to an older one; a release may take its own place.
  expect(told(['v4', 'v3', 'v2'], { metadata: { switched_to: 'v2', previous_release: 'v4' } })).toEqual(['v2', 'v4'])
  expect(told(['v2'], { metadata: { switched_to: 'v2', previous_release: 'v2' } })).toEqual(['v2'])
  // Taken back, it is no release of the deployment any more; what it answered is counted all the same.
  expect(told(['v2', 'v1'], { phase: 'rolled_back', release: null })).toEqual(['v2', 'v1'])
  // Nobody has asked the new one yet.
  expect(told(['v1'], { phase: 'updating_routes', metadata: { previous_release: 'v1' } })).toEqual(['v1'])
  // Long ended: what came of others since is not its own.
  expect(told(['v4', 'v3', 'v1'])).toEqual([])
  expect(told(['v4', 'v3'], { metadata: {} })).toEqual([])
})

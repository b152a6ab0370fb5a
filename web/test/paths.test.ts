import { createMemoryHistory, createRouter } from '@tanstack/react-router'
import { QueryClient } from '@tanstack/react-query'
import { expect, it } from 'vitest'
import { safeNext, to } from '@/paths'
import { routeTree } from '@/routeTree.gen'

const router = createRouter({ routeTree, history: createMemoryHistory(), context: { client: new QueryClient() } })

it('every link leads where it says', () => {
  const hrefs = [
    to.overview(),
    to.app('shop'),
    to.environment('shop', 'production'),
    to.deployments(),
    to.deployments({ app: 'shop', environment: 'production' }),
    to.deployment('dep_01'),
    to.queue(),
    to.approvals(),
    to.notifications(),
    to.people(),
    to.person('usr_01'),
    to.members('shop'),
    to.appSettings('shop'),
    to.bypasses(),
    to.bypasses({ cursor: 'byp_01' }),
    to.settings(),
    to.mail(),
    to.access(),
    to.account(),
    to.releases('shop'),
    to.tokens(),
    to.device(),
    to.device('WDJB-MJHT'),
    to.audit(),
    to.audit({ actor: 'usr_01', outcome: 'refused', since: '2026-11-21T10:00:00.000Z' }),
    to.guides(),
    to.guides('health check'),
    to.guide('runbook'),
    to.guide('guide', 'the-queue'),
    to.figures(),
    to.figures({ app: 'shop', since: '7d' }),
    to.signIn(),
    to.signIn('/apps/shop?x=1#L3'),
  ].map((link) => router.buildLocation(link).href)
  expect(hrefs).toMatchInlineSnapshot(`
    [
      "/",
      "/apps/shop",
      "/apps/shop/production",
      "/deployments",
      "/deployments?app=shop&environment=production",
      "/deployments/dep_01",
      "/queue",
      "/approvals",
      "/notifications",
      "/people",
      "/people/usr_01",
      "/apps/shop/members",
      "/apps/shop/settings",
      "/bypasses",
      "/bypasses?cursor=byp_01",
      "/settings",
      "/settings/mail",
      "/settings/access",
      "/settings/account",
      "/apps/shop/releases",
      "/tokens",
      "/device",
      "/device?code=WDJB-MJHT",
      "/audit",
      "/audit?actor=usr_01&outcome=refused&since=2026-11-21T10%3A00%3A00.000Z",
      "/guides",
      "/guides?search=health+check",
      "/guides/runbook",
      "/guides/guide#the-queue",
      "/figures",
      "/figures?app=shop&since=7d",
      "/sign-in",
      "/sign-in?next=%2Fapps%2Fshop%3Fx%3D1%23L3",
    ]
  `)
})

it.each(['//evil.example', 'https://evil.example', '/\\evil.example', 'evil', '', '/a\nb', undefined])(
  'after signing in, %j leads to the overview',
  (next) => expect(safeNext(next)).toBe('/'),
)

it('a page of ours is kept', () => expect(safeNext('/apps/shop?a=1#L3')).toBe('/apps/shop?a=1#L3'))

// Every page as people see it: light and dark, on a desktop and on a phone. Nobody is shut out by how it is made, nothing
// complains, nothing scrolls sideways. Pictures of them are in target/screens.
import type { Locator, Page } from '@playwright/test'
import { type Owner, expect, person, signedOut, test } from './fixtures'
import { Gate, createApp, deployed, ended, order, undelivered } from './flow'
import type { Server } from './harness'
import { COLOURS, fits, open, picture, settled, turn } from './look'
import { Repo } from './repo'

interface Seed {
  active: string
  failed: string
  going: string
}

/** `title` is the page's heading; what has none of its own shows a deployment's source, or what went wrong. `shows` is more than a heading. */
const pages: { name: string; path(seed: Seed): string; title?: string; out?: boolean; shows?(page: Page): Locator }[] = [
  { name: 'overview', path: () => '/', title: 'Overview' },
  { name: 'app', path: () => '/apps/shop', title: 'shop' },
  { name: 'environment', path: () => '/apps/shop/production', title: 'production' },
  { name: 'deployments', path: () => '/deployments', title: 'Deployments' },
  { name: 'deployment-active', path: ({ active }) => `/deployments/${active}` },
  { name: 'deployment-failed', path: ({ failed }) => `/deployments/${failed}` },
  { name: 'deployment-going', path: ({ going }) => `/deployments/${going}` },
  { name: 'queue', path: () => '/queue', title: 'Queue' },
  { name: 'people', path: () => '/people', title: 'People' },
  { name: 'person', path: () => `/people/${person.email}`, title: person.name },
  { name: 'members', path: () => '/apps/shop/members', title: 'Members' },
  { name: 'app-settings', path: () => '/apps/shop/settings', title: 'Settings' },
  { name: 'bypasses', path: () => '/bypasses', title: 'Past closed windows' },
  { name: 'approvals', path: () => '/approvals', title: 'Approvals', shows: (page) => page.getByRole('region', { name: /^Deploy to shop \/ preview/ }) },
  {
    name: 'notifications',
    path: () => '/notifications',
    title: 'Notifications',
    shows: (page) => page.getByRole('table', { name: 'Channels' }).getByRole('row').filter({ hasText: 'deck' }).getByText('Nothing arrives').first(),
  },
  { name: 'settings', path: () => '/settings', title: 'Settings' },
  { name: 'mail', path: () => '/settings/mail', title: 'Mail' },
  { name: 'sign-in-settings', path: () => '/settings/access', title: 'Sign-in' },
  { name: 'account', path: () => '/settings/account', title: 'Your account' },
  { name: 'releases', path: () => '/apps/shop/releases', title: 'Releases' },
  { name: 'tokens', path: () => '/tokens', title: 'Tokens' },
  { name: 'device', path: () => '/device', title: 'Let a program in' },
  { name: 'audit', path: () => '/audit', title: 'Audit log' },
  { name: 'audit-filtered', path: () => '/audit?operation=apps.create&outcome=done', title: 'Audit log' },
  { name: 'figures', path: () => '/figures', title: 'Figures' },
  { name: 'figures-of-an-app', path: () => '/figures?app=shop&since=7d', title: 'Figures' },
  { name: 'guides', path: () => '/guides', title: 'Guides' },
  { name: 'guides-found', path: () => '/guides?search=rollback', title: 'Guides' },
  { name: 'guide', path: () => '/guides/runbook', title: 'Runbook' },
  { name: 'not-found', path: () => '/no/such/page', title: 'There is no such page' },
  { name: 'app-not-found', path: () => '/apps/nobody', title: 'nobody' },
  { name: 'sign-in', path: () => '/sign-in', title: 'Sign in', out: true },
  { name: 'setup', path: () => '/setup#inv_0123456789abcdefghijklmnopqrstuv', title: 'Welcome to Plimsoll', out: true },
  { name: 'invitation', path: () => '/invitation#inv_0123456789abcdefghijklmnopqrstuv', out: true },
]
/** Each is seen in light and in dark, once loaded; the narrowest of a width is about room alone. */
const looks = [{ width: 1280 }, { width: 390, narrowest: 360 }] as const

// A test for each page, with a limit of its own; half of them for each worker, as this file takes longest.
test.describe.configure({ mode: 'parallel' })

let seed: Seed
let gate: Gate
const repos: Repo[] = []

// One server for all of a worker's, with something of everything; files don't share a test's fixtures, so it is made here.
test.beforeAll(async ({ server, owner }) => {
  test.setTimeout(400_000)
  gate = new Gate(server, 'pages')
  seed = await sow(server)
  await peopled(server, owner)
})
test.afterAll(() => {
  gate.open()
  for (const repo of repos) repo.remove()
})
// What is not there is said on the console as well.
test.use({ expected: [/status of 40[14]/] })

async function sow(server: Server): Promise<Seed> {
  const repo = () => {
    const made = new Repo()
    repos.push(made)
    return made
  }
  const [shop, blog, worker] = [repo(), repo(), repo()]
  shop.commit({ version: 'v1' })
  await createApp(server, 'shop', shop)
  await deployed(server, 'shop')
  shop.commit({ version: 'v2' })
  const active = await deployed(server, 'shop', '--tag', 'v2.0')
  await order(server, 'shop', '--at', 'in 2h')
  await server.cli('env', 'set', '--app', 'shop', 'GREETING=hello')
  await server.cli('deploy', 'shop', '--cron', '0 6 * * MON-FRI America/New_York', '--schedule', 'mornings')
  await server.cli('envs', 'create', 'staging', '--app', 'shop')
  await server.cli('windows', 'freeze', '--app', 'shop', '--env', 'staging', '--reason', 'the end of the year')
  blog.commit({ version: 'v1', build: 'for i in $(seq 40); do echo "page $i"; done; echo "posts/7.md: error: no title" >&2; exit 1' })
  await createApp(server, 'blog', blog)
  // No mail server is known: nothing leaves, and that is told.
  const { channel } = await server.json<{ channel: { id: string } }>('channels', 'create', 'mail', 'deck', '--app', 'blog', '--to', 'deck@example.org')
  const failed = await order(server, 'blog')
  expect(await ended(server, failed)).toBe('failed')
  await undelivered(server, channel.id)
  await server.cli('envs', 'create', 'preview', '--app', 'shop')
  await server.cli('approval-policies', 'set', '--app', 'shop', '--env', 'preview')
  await order(server, 'shop', '--env', 'preview')
  worker.commit({ version: 'v1', build: `printf '\\033[32mfetching\\033[0m the harbour\\n'; ${gate.wait}` })
  await createApp(server, 'worker', worker)
  const going = await order(server, 'worker')
  return { active, failed, going }
}

/** Somebody with a role at an app, and invitations that wait. */
async function peopled(server: Server, { email }: Owner): Promise<void> {
  await server.cli('members', 'set', email, '--app', 'shop', '--role', 'owner')
  await server.cli('users', 'invite', 'zoe.with-a-rather-long-name@mail.example.org', '--role', 'deployer')
  await server.cli('users', 'invite', 'yuri@example.org', '--role', 'admin', '--app', 'shop')
}

for (const look of looks) {
  const phone = look.width < 600
  const viewport = { width: look.width, height: phone ? 844 : 860 }

  test.describe(`${look.width} wide`, () => {
    test.use({ colorScheme: 'light', viewport, isMobile: phone, hasTouch: phone })

    for (const { name, path, title, out, shows } of pages) {
      test.describe(() => {
        if (out) test.use({ storageState: signedOut })

        test(`the page ${name}`, async ({ page }) => {
          await page.goto(path(seed))
          const heading = page.getByRole('heading', { level: 1, name: title, exact: true })
          await expect.soft(heading, `the heading of ${name}`).toBeVisible()
          await settled(page)
          if (shows) await expect.soft(shows(page), `what matters on ${name}`).toBeVisible()
          await fits(page, name)
          await open(page, `${name} in light`)
          await picture(page, `${name}-light-${look.width}`)
          await turn(page, 'dark')
          // The same elements in other colours.
          await open(page, `${name} in dark`, COLOURS)
          await picture(page, `${name}-dark-${look.width}`)
          if ('narrowest' in look) {
            await page.setViewportSize({ ...viewport, width: look.narrowest })
            await fits(page, `${name}, ${look.narrowest} wide,`)
          }
        })
      })
    }
  })
}

test('a page that was loaded in the dark is as one that was turned dark', async ({ browser, owner, server }) => {
  const context = await browser.newContext({ colorScheme: 'dark', baseURL: server.url, storageState: owner.state })
  const page = await context.newPage()
  const background = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor)
  await page.goto('/')
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()
  const dark = await background()
  await turn(page, 'light')
  expect(await background()).not.toBe(dark)
  await turn(page, 'dark')
  expect(await background()).toBe(dark)
  await context.close()
})

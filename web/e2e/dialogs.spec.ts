// Where the focus begins in a dialog, and what closes it; and what "Try again" does. Then every dialog as people see it, and the pages
// as a viewer does: open to everybody as far as a program can tell, on a desktop and on the narrowest phone. Pictures of them are in
// target/screens.
import type { Locator, Page } from '@playwright/test'
import { type Owner, expect, signedOut, test } from './fixtures'
import { createApp, deployed, order, undelivered } from './flow'
import type { Server } from './harness'
import { COLOURS, fits, open, picture, settled, turn } from './look'
import { Repo } from './repo'

const dora = { name: 'Dora Falk', email: 'dora.falk@example.org', password: 'Lantern under the eastern pier 4' }

/**
 * `opens` are the buttons that lead to it, by name, one after the other, and `item` is what is chosen in the menu that the last one opens;
 * what matters in it has to be there.
 */
const dialogs: { name: string; path: string; opens: (string | RegExp)[]; item?: string; role?: 'menu'; shows?: (dialog: Locator) => Locator }[] = [
  { name: 'new-app', path: '/', opens: ['New app'] },
  { name: 'deploy', path: '/apps/galley/production', opens: ['Deploy'] },
  {
    name: 'deploy-plan',
    path: '/apps/galley/production',
    opens: ['Deploy', 'See what it would do', 'What if a step fails'],
    shows: (dialog) => dialog.getByText('If all goes well'),
  },
  { name: 'rollback', path: '/apps/galley/production', opens: ['Roll back'] },
  { name: 'promote', path: '/apps/galley/production', opens: ['Promote'] },
  { name: 'variable', path: '/apps/galley/production', opens: [/^Add/] },
  { name: 'approval-policy', path: '/apps/galley/production', opens: ['Ask for approval'] },
  { name: 'source', path: '/apps/galley/settings', opens: ['Change the source'] },
  { name: 'concurrency', path: '/apps/galley/settings', opens: ['Change how many at the same time'] },
  { name: 'environment', path: '/apps/galley/settings', opens: ['New environment'] },
  { name: 'supersede', path: '/apps/galley/settings', opens: ['Change what runs of those that wait for production'] },
  { name: 'delete-environment', path: '/apps/galley/settings', opens: ['Delete staging'] },
  { name: 'delete-app', path: '/apps/galley/settings', opens: ['Delete the app'] },
  { name: 'retention', path: '/settings', opens: ['Change how long things are kept'] },
  { name: 'sweep', path: '/settings', opens: ['What is old enough'] },
  { name: 'stalls', path: '/settings', opens: ['Change when a deployment is stalled'] },
  { name: 'certificate', path: '/settings', opens: ['Add a certificate'] },
  { name: 'ingress', path: '/settings', opens: ['Restart the ingress'] },
  { name: 'schedule', path: '/queue', opens: ['New schedule'] },
  { name: 'rule', path: '/queue', opens: ['New rule'] },
  { name: 'channel', path: '/notifications', opens: ['New channel'] },
  { name: 'invite', path: '/people', opens: ['Invite'] },
  { name: 'second-factor-of', path: `/people/${dora.email}`, opens: ['Remove the second factor'] },
  { name: 'role', path: `/people/${dora.email}`, opens: [/^Change role/] },
  { name: 'token', path: '/tokens', opens: ['New token'] },
  { name: 'vote', path: '/approvals', opens: ['Approve'], shows: (dialog) => dialog.getByText('nothing else runs by this vote') },
  {
    name: 'deliveries',
    path: '/notifications',
    opens: ['More for the channel trawler crew'],
    item: 'What was sent',
    shows: (dialog) => dialog.getByRole('listitem').getByText('No mail server is known').first(),
  },
  // What is open over a page besides.
  { name: 'pages', path: '/queue', opens: ['All pages'], shows: (dialog) => dialog.getByRole('link', { name: 'Audit log' }) },
  { name: 'palette', path: '/queue', opens: ['Search'], shows: (dialog) => dialog.getByRole('option').first() },
  { name: 'account', path: '/queue', opens: [/^Account of /], role: 'menu', shows: (menu) => menu.getByRole('menuitem', { name: 'Sign out' }) },
]

const viewed: [path: string, title: string][] = [
  ['/', 'Overview'],
  ['/apps/galley', 'galley'],
  ['/apps/galley/production', 'production'],
  ['/apps/galley/settings', 'Settings'],
  ['/deployments', 'Deployments'],
  ['/queue', 'Queue'],
  ['/bypasses', 'Past closed windows'],
  ['/approvals', 'Approvals'],
  ['/notifications', 'Notifications'],
  ['/people', 'People'],
  ['/tokens', 'Tokens'],
  ['/settings', 'Settings'],
  ['/settings/account', 'Your account'],
]

const looks = [{ width: 1280 }, { width: 390, narrowest: 360 }] as const

test('a dialog begins at its first field, and stays while what it asked for is on its way', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'buoy', repo)
  await page.goto('/apps/buoy/production')
  await page.getByRole('button', { name: 'Deploy', exact: true }).click()
  const deploy = page.getByRole('dialog', { name: 'Deploy buoy to production' })
  await expect(deploy.getByLabel('Branch, tag or commit')).toBeFocused()
  await page.keyboard.press('Escape')
  await expect(deploy).toBeHidden()

  // The answer is held back: the dialog says what it waits for.
  let answer = () => {}
  const held = new Promise<void>((resolve) => (answer = resolve))
  await page.route('**/api/v1/apps/buoy/environments/production/variables', async (route) => {
    await held
    await route.continue()
  })
  await page.getByRole('button', { name: 'Add', exact: true }).click()
  const dialog = page.getByRole('dialog')
  await expect(dialog.getByLabel('Name')).toBeFocused()
  await dialog.getByLabel('Name').fill('ENSIGN')
  await dialog.getByLabel('Value').fill('red')
  await dialog.getByRole('button', { name: 'Save', exact: true }).click()
  const safe = dialog.getByRole('button', { name: 'Not now' })
  await expect(safe).toHaveAccessibleDescription(/sent already/)
  await safe.click({ force: true })
  await page.keyboard.press('Escape')
  await expect(dialog).toBeVisible()
  answer()
  await expect(dialog).toBeHidden()
  await expect(page.getByText('ENSIGN', { exact: true })).toBeVisible()
})

test.describe('a page that failed', () => {
  // One pattern: Playwright takes a pair for a value with its options.
  test.use({ expected: [/status of 500|route match|the disk is full/] })

  test('is there once it is tried again', async ({ page }) => {
    const problem = { title: 'It failed', status: 500, code: 'internal', detail: 'the disk is full' }
    await page.route('**/api/v1/me', (route) => route.fulfill({ status: 500, contentType: 'application/problem+json', body: JSON.stringify(problem) }))
    await page.goto('/queue')
    await expect(page.getByRole('alert')).toContainText('The disk is full.')
    await page.getByRole('button', { name: 'Try again' }).click()
    await expect(page.getByRole('alert')).toContainText('The disk is full.')
    await page.unroute('**/api/v1/me')
    await page.getByRole('button', { name: 'Try again' }).click()
    await expect(page.getByRole('heading', { level: 1, name: 'Queue' })).toBeVisible()
  })
})

test.describe('how they look', () => {
  // One of the looks for each worker.
  test.describe.configure({ mode: 'parallel' })

  const repos: Repo[] = []
  let viewer: Owner['state']

  test.beforeAll(async ({ server, owner, browser }) => {
    test.setTimeout(400_000)
    expect(owner.state.cookies).not.toEqual([])
    const repo = new Repo()
    repos.push(repo)
    repo.commit({ version: 'v1' })
    await createApp(server, 'galley', repo)
    await deployed(server, 'galley')
    repo.commit({ version: 'v2' })
    await deployed(server, 'galley')
    await server.cli('envs', 'create', 'staging', '--app', 'galley')
    repo.commit({ version: 'v3' })
    // One that waits for a vote, so that it can't be deleted; no mail server is known, so that what is to be told of it does not arrive.
    await createApp(server, 'trawler', repo)
    const crew = ['trawler crew', '--app', 'trawler', '--to', 'crew@example.org']
    const { channel } = await server.json<{ channel: { id: string } }>('channels', 'create', 'mail', ...crew)
    await server.cli('envs', 'create', 'trial', '--app', 'trawler')
    await server.cli('approval-policies', 'set', '--app', 'trawler', '--env', 'trial')
    await order(server, 'trawler', '--env', 'trial')
    await undelivered(server, channel.id)
    const context = await browser.newContext({ storageState: signedOut, baseURL: server.url })
    await come(await context.newPage(), server)
    viewer = await context.storageState()
    await context.close()
  })
  test.afterAll(() => {
    for (const repo of repos) repo.remove()
  })

  for (const look of looks) {
    const phone = look.width < 600
    const viewport = { width: look.width, height: phone ? 844 : 860 }
    test.describe(`${look.width} wide`, () => {
      test.use({ colorScheme: 'light', viewport, isMobile: phone, hasTouch: phone })

      // What is seen of a dialog on a desktop is seen on a phone, with less room.
      for (const { name, path, opens, item, role = 'dialog', shows } of phone ? dialogs : [])
        test(`the dialog ${name}`, async ({ page }) => {
          await page.goto(path)
          await expect(page.getByRole('heading', { level: 1 })).toBeVisible()
          await settled(page)
          const dialog = page.getByRole(role)
          for (const [index, button] of opens.entries()) {
            const within = index === 0 ? page : dialog
            await within.getByRole('button', { name: button, exact: typeof button === 'string' }).first().click()
          }
          if (item) await page.getByRole('menuitem', { name: item, exact: true }).click()
          await expect(dialog).toBeVisible()
          if (shows) await expect(shows(dialog)).toBeVisible()
          await settled(page)
          await still(page)
          await inside(dialog, `the dialog ${name}`)
          await open(page, `the dialog ${name} in light`)
          await picture(page, `dialog-${name}-light-${look.width}`)
          await turn(page, 'dark')
          await open(page, `the dialog ${name} in dark`, COLOURS)
          await picture(page, `dialog-${name}-dark-${look.width}`)
          if ('narrowest' in look) {
            await page.setViewportSize({ ...viewport, width: look.narrowest })
            await inside(dialog, `the dialog ${name}, ${look.narrowest} wide,`)
          }
        })

      test.describe('of a viewer', () => {
        // oxlint-disable-next-line no-empty-pattern
        test.use({ storageState: async ({}, use) => use(viewer) })

        for (const [path, title] of viewed)
          // Nothing is asked by it that would be refused: that would be said on the console.
          test(`the page ${path}`, async ({ page }) => {
            await page.goto(path)
            await expect.soft(page.getByRole('heading', { level: 1, name: title, exact: true }), `the heading of ${path}`).toBeVisible()
            await settled(page)
            await fits(page, path)
            await open(page, `${path} of a viewer`)
            await picture(page, `viewer${path.replaceAll('/', '-')}-${look.width}`)
            if ('narrowest' in look) {
              await page.setViewportSize({ ...viewport, width: look.narrowest })
              await fits(page, `${path} of a viewer, ${look.narrowest} wide,`)
            }
          })
      })
    })
  }
})

async function come(page: Page, server: Server): Promise<void> {
  const { secret } = await server.json<{ secret: string }>('users', 'invite', dora.email, '--role', 'viewer')
  await page.goto(`/invitation#${secret}`)
  await page.getByLabel('Name').fill(dora.name)
  await page.getByLabel('Password').fill(dora.password)
  await page.getByRole('button', { name: 'Accept and sign in' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()
}

/** Nothing is on its way to where it will stand. */
async function still(page: Page): Promise<void> {
  // What has just been put there begins to move with the next picture.
  await expect(page.locator('[data-starting-style]')).toHaveCount(0)
  await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))))
  await page.evaluate(() => Promise.allSettled(document.getAnimations().filter((animation) => animation instanceof CSSTransition).map(({ finished }) => finished)))
}

/** It is within the window, its buttons too, and nothing in it is wider than it. */
async function inside(dialog: Locator, name: string): Promise<void> {
  const found = () => dialog.evaluate((popup) => {
    const { left, right, top, bottom } = popup.getBoundingClientRect()
    const wide = [popup, ...popup.querySelectorAll('*')].filter((part) => part.scrollWidth > part.clientWidth + 1 && getComputedStyle(part).overflowX === 'auto' && part.clientWidth > 0)
    return {
      out: left < 0 || top < 0 || right > innerWidth || bottom > innerHeight,
      // A block of text may scroll by itself.
      wide: wide.filter((part) => part.tagName !== 'PRE' && part.tagName !== 'TEXTAREA').map((part) => part.outerHTML.slice(0, 160)),
    }
  })
  // A menu follows its button a moment after the window has changed.
  await expect.configure({ soft: true }).poll(found, { message: `${name} is within the window` }).toEqual({ out: false, wide: [] })
}

// What the page shows is what the command line says.
import { createApp, deployed, ended, order } from './flow'
import { expect, test } from './fixtures'

test.use({ serverArgs: ['--workers', '2'] })

interface Analytics {
  changes: { total: number; active: number; failed: number; success_rate: number }
  dora: { deployments: number; failed_changes: number }
}

test('figures of what happened, as charts and as a table', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'counted', repo)
  await deployed(server, 'counted')
  repo.commit({ version: 'v2', build: 'exit 1' })
  expect(await ended(server, await order(server, 'counted'))).toBe('failed')
  expect(await server.visit('counted')).toBe('v1')

  await page.goto('/figures?app=counted')
  const told = await server.json<Analytics>('analytics', '--app', 'counted')
  expect(told.changes).toMatchObject({ total: 2, active: 1, failed: 1, success_rate: 0.5 })
  const tile = (name: string) => page.locator('dl > div').filter({ has: page.locator('dt', { hasText: name }) })
  await expect(tile('Success rate')).toContainText('50 %')
  await expect(tile('Success rate')).toContainText(`${told.changes.active} of ${told.changes.total} changes`)
  await expect(tile('Deployments a day')).toContainText(`${told.dora.deployments} deployment became active`)
  await expect(tile('Running now')).toContainText('nothing waits')

  const byDay = page.getByRole('region', { name: 'Day by day' })
  await expect(byDay.locator('figure')).toHaveCount(4)
  await byDay.getByRole('button', { name: 'As a table' }).click()
  await expect(byDay.locator('figure').first()).toBeHidden()
  const row = byDay.getByRole('table').getByRole('row').nth(1)
  await expect(row).toContainText(String(told.dora.deployments))

  await expect(page.getByRole('table', { name: 'How long each phase takes' }).getByRole('row').filter({ hasText: 'Building' })).toBeVisible()
  const release = page.getByRole('table', { name: 'How releases answer' }).getByRole('row').filter({ hasText: 'counted / production' })
  await expect(release).toContainText('v1')
  await expect(release).toContainText('Serves')
  await expect(page.getByRole('table', { name: 'Where deployments fail' })).toContainText('Building')

  // The choice is in the address.
  await page.getByLabel('How far back').selectOption('7 days')
  await expect(page).toHaveURL(/since=7d/)
  await page.getByLabel('App').selectOption('All apps')
  await expect(page).not.toHaveURL(/app=/)
})

test('the overview tells what needs somebody, until it is well again', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1', build: 'echo no harbour; exit 1' })
  await createApp(server, 'needy', repo)
  const failed = await order(server, 'needy')
  expect(await ended(server, failed)).toBe('failed')
  await page.goto('/')
  const need = page.getByRole('link', { name: 'needy / production failed to deploy' })
  await expect(need).toBeVisible()
  await expect(page.getByRole('table', { name: 'Apps and their environments' }).getByRole('row').filter({ hasText: 'needy' })).toContainText('nothing yet')
  repo.commit({ version: 'v2' })
  await deployed(server, 'needy')
  // Told by an event, without a reload.
  await expect(need).toBeHidden()
  await expect(page.getByRole('row').filter({ hasText: 'needy' })).toContainText('Healthy')
})

// How an app is set up, from its source to its end.
import { expect, test } from './fixtures'
import { createApp, deployed } from './flow'
import { Repo } from './repo'

// The event of its end may come before the page is left.
test.use({ expected: [/status of 404/] })

test('source, limits and environments of an app are set on a page, and the app is ended there', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  const elsewhere = new Repo()
  elsewhere.commit({ version: 'other' })
  await createApp(server, 'pier', repo)
  await deployed(server, 'pier')
  await page.goto('/apps/pier')
  await page.locator('main').getByRole('link', { name: 'Settings', exact: true }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Settings' })).toBeVisible()

  // The next deployment takes its source from there; what serves is not touched.
  const source = page.getByRole('region', { name: 'Source' })
  await expect(source).toContainText(repo.path)
  await source.getByRole('button', { name: 'Change the source' }).click()
  const where = page.getByRole('dialog', { name: 'Source of pier' })
  await where.getByLabel('Git repository').fill(elsewhere.path)
  await where.getByRole('button', { name: 'Change', exact: true }).click()
  await expect(source).toContainText(elsewhere.path)
  expect(await server.visit('pier')).toBe('v1')
  await deployed(server, 'pier')
  expect(await server.visit('pier')).toBe('other')

  await page.getByRole('button', { name: 'Change how many at the same time' }).click()
  const limit = page.getByRole('dialog', { name: 'Deployments of pier at the same time' })
  await limit.getByLabel('At most').fill('0')
  await limit.getByRole('button', { name: 'Change', exact: true }).click()
  await expect(limit.getByRole('alert')).toContainText('from 1 to 1,000')
  await limit.getByLabel('At most').fill('5')
  await limit.getByRole('button', { name: 'Change', exact: true }).click()
  await expect(page.getByRole('region', { name: 'At the same time' })).toContainText('5 deployments')
  expect(await server.json('apps', 'show', 'pier')).toMatchObject({ concurrency: 5 })

  // An environment comes, is told what of those that wait runs, and goes.
  const environments = page.getByRole('region', { name: 'Environments' })
  await environments.getByRole('button', { name: 'New environment' }).click()
  const made = page.getByRole('dialog', { name: 'New environment of pier' })
  await made.getByLabel('Name').fill('Staging')
  await made.getByRole('button', { name: 'Create' }).click()
  await expect(made.getByRole('alert')).toContainText('Small letters')
  await made.getByLabel('Name').fill('staging')
  await made.getByRole('button', { name: 'Create' }).click()
  const row = environments.getByRole('row').filter({ hasText: 'staging' })
  await expect(row).toContainText('each of them runs')
  await row.getByRole('button', { name: 'Change what runs of those that wait for staging' }).click()
  const waiting = page.getByRole('dialog', { name: 'When several wait for pier / staging' })
  await waiting.getByLabel('Of one branch').selectOption('skip_queued')
  await waiting.getByRole('button', { name: 'Change', exact: true }).click()
  await expect(row).toContainText('the newest of a branch runs')
  expect(await server.json('envs', 'show', 'staging', '--app', 'pier')).toMatchObject({ supersede: 'skip_queued' })
  await row.getByRole('button', { name: 'Delete staging' }).click()
  const gone = page.getByRole('dialog', { name: 'Delete pier / staging?' })
  await expect(gone.getByRole('button', { name: 'Keep as it is' })).toBeFocused()
  await expect(gone).toContainText('nothing serves yet')
  await gone.getByLabel(/^Type /).fill('staging')
  await gone.getByRole('button', { name: 'Delete', exact: true }).click()
  await expect(row).toHaveCount(0)

  // The end says what ends, and wants the name.
  await page.getByRole('button', { name: 'Delete the app' }).click()
  const end = page.getByRole('dialog', { name: 'Delete pier?' })
  await expect(end).toContainText(/production serves v\d+ now: .*pier\.localhost.* no more/)
  await expect(end.getByRole('button', { name: 'Delete', exact: true })).toHaveAccessibleDescription('Type pier above first')
  await end.getByLabel(/^Type /).fill('pier')
  await end.getByRole('button', { name: 'Delete', exact: true }).click()
  await expect(page.getByText('pier is deleted, with 1 environment and 2 releases.')).toBeVisible()
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()
  expect(await server.visit('pier')).not.toBe('other')
  elsewhere.remove()
})

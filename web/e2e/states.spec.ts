// The server goes away and comes back: what was seen stays, is called old, and goes on by itself.
import { expect, test } from './fixtures'
import { createApp, deployed, order, standing } from './flow'

// A server of its own: others' pages would not like to see it go.
test.use({ serverArgs: ['--workers', '2'], expected: [/ERR_|Failed to fetch|net::|status of 50/] })

test('a page says that the server is gone, and catches up with what happened', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'steady', repo)
  const id = await deployed(server, 'steady')
  await page.goto('/apps/steady')
  const live = page.getByRole('status', { name: 'Connection: Live' })
  await expect(live).toBeVisible()
  await server.kill9()
  await expect(page.getByRole('status', { name: /^Connection: (Offline|Connecting)$/ })).toBeVisible()
  await expect(page.getByText('The server has not answered since')).toBeVisible({ timeout: 30_000 })
  await expect(page.getByRole('heading', { level: 1, name: 'steady' })).toBeVisible()
  expect(await server.visit('steady')).toBe('v1')

  await server.restart()
  repo.commit({ version: 'v2' })
  await order(server, 'steady')
  await expect(live).toBeVisible({ timeout: 40_000 })
  await expect(page.getByText('The server has not answered since')).toBeHidden()
  // The session outlives the server, and what happened is seen without a reload.
  await expect(page.getByRole('region', { name: 'production' }).getByText('v2', { exact: true })).toBeVisible({ timeout: 30_000 })
  await page.goto(`/deployments/${id}`)
  await expect(standing(page, 'Active')).toBeVisible()
})

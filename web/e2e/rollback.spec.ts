import { expect, test } from './fixtures'
import { createApp, deployed, standing } from './flow'

test('going back shows the difference first, and the earlier version serves', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'back', repo)
  await deployed(server, 'back')
  repo.commit({ version: 'v2' })
  await deployed(server, 'back')
  expect(await server.visit('back')).toBe('v2')

  await page.goto('/apps/back/production')
  await page.getByRole('button', { name: 'Roll back' }).click()
  const dialog = page.getByRole('dialog', { name: 'Roll back back / production' })
  const change = dialog.getByRole('region', { name: 'What changes' })
  await expect(change).toContainText('Version v2')
  await expect(change).toContainText('Version v1')
  await expect(dialog.getByRole('button', { name: 'Keep v2' })).toBeFocused()
  await page.keyboard.press('Escape')
  await expect(dialog).toBeHidden()
  expect(await server.visit('back')).toBe('v2')

  await page.getByRole('button', { name: 'Roll back' }).click()
  await dialog.getByRole('button', { name: 'Roll back to v1' }).click()
  await expect(page).toHaveURL(/\/deployments\/dep_/)
  await expect(standing(page, 'Active')).toBeVisible()
  expect(await server.visit('back')).toBe('v1')
  await page.goto('/apps/back/production')
  await expect(page.getByText('v1', { exact: true }).first()).toBeVisible()
})

test('what has never served in an environment is not offered there', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'skiff', repo)
  await server.cli('envs', 'create', 'staging', '--app', 'skiff')
  await deployed(server, 'skiff')
  repo.commit({ version: 'v2' })
  await deployed(server, 'skiff', '--env', 'staging')
  repo.commit({ version: 'v3' })
  await deployed(server, 'skiff')

  // v2 is the one before v3, and was in staging alone: production would refuse it.
  await page.goto('/apps/skiff/production')
  await page.getByRole('button', { name: 'Roll back' }).click()
  const dialog = page.getByRole('dialog', { name: 'Roll back skiff / production' })
  await expect(dialog.getByRole('button', { name: 'Roll back to v1' })).toBeVisible()
  await expect(dialog.getByLabel('To').getByRole('option')).toHaveCount(1)
  await page.goto('/apps/skiff/releases')
  await expect(page.getByRole('button', { name: 'Roll back to v2' })).toHaveAccessibleDescription('It has never served in production: deploy or promote it there')
})

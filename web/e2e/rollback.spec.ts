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

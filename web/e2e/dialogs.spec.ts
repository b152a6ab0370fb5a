// Where the focus begins in a dialog, and what closes it; and what "Try again" does.
import { expect, test } from './fixtures'
import { createApp } from './flow'

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
  test.use({ expected: [/status of 500/, /route match|the disk is full/] })

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

// Without a mouse: the palette, the list of keys, and the keys that lead to pages.
import { expect, test } from './fixtures'

test('anything is found by a few letters, and what had the focus has it again', async ({ page, server }) => {
  for (const app of ['ketch', 'ketch-two']) await server.cli('apps', 'create', app)
  await page.goto('/')
  const before = page.getByRole('button', { name: 'New app' }).first()
  await before.focus()
  await page.keyboard.press('Control+k')
  const palette = page.getByRole('dialog', { name: 'Search' })
  const field = palette.getByRole('combobox', { name: 'Search for apps, environments, deployments and pages' })
  const named = (text: RegExp) => palette.getByRole('option').filter({ hasText: text })
  // What Enter would choose.
  const chosen = palette.getByRole('option', { selected: true })
  await expect(field).toBeFocused()
  await page.keyboard.type('ketch')
  await expect(chosen).toHaveText(/^ketch ?App$/)
  await expect(named(/^ketch-two ?App$/)).toBeVisible()
  await page.keyboard.type('-t')
  await expect(named(/^ketch ?App$/)).toHaveCount(0)
  await expect(chosen).toHaveText(/^ketch-two ?App$/)
  await page.keyboard.press('Escape')
  await expect(palette).toHaveCount(0)
  await expect(before).toBeFocused()

  await page.keyboard.press('/')
  await expect(field).toBeFocused()
  await expect(field).toHaveValue('')
  await page.keyboard.type('ketch')
  await expect(chosen).toHaveText(/^ketch ?App$/)
  await expect(named(/^ketch-two ?App$/)).toBeVisible()
  await page.keyboard.press('ArrowDown')
  await expect(chosen).toHaveText(/^ketch-two ?App$/)
  await expect(field).toHaveAttribute('aria-activedescendant', (await chosen.getAttribute('id')) ?? '')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/\/apps\/ketch-two$/)
  await expect(page.getByRole('heading', { level: 1, name: 'ketch-two' })).toBeVisible()
  await expect(palette).toHaveCount(0)

  // Pages are found, too; what is called nothing like it is said to be nothing.
  await page.keyboard.press('Control+k')
  await expect(field).toBeFocused()
  await page.keyboard.type('zzqx')
  await expect(palette.getByText('Nothing is called “zzqx”.')).toBeVisible()
  await page.keyboard.press('Control+a')
  await page.keyboard.type('audit log')
  await expect(chosen).toHaveText(/^Audit log ?Page$/)
  await page.keyboard.press('Enter')
  await expect(page.getByRole('heading', { level: 1, name: 'Audit log' })).toBeVisible()
})

test('keys are listed, and lead to pages outside of fields alone', async ({ page }) => {
  await page.goto('/')
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()
  await page.keyboard.press('?')
  const keys = page.getByRole('dialog', { name: 'Keys' })
  await expect(keys.getByText('Queue', { exact: true })).toBeVisible()
  // While something is open over the page they do nothing.
  await page.keyboard.press('g')
  await page.keyboard.press('q')
  await expect(keys).toBeVisible()
  await page.keyboard.press('Escape')
  await expect(keys).toHaveCount(0)
  await expect(page).toHaveURL(/\/$/)

  // The second key counts for a moment after the first only.
  for (const [key, name] of [['q', 'Queue'], ['h', 'Guides']] as const) {
    await expect(async () => {
      await page.keyboard.press('g')
      await page.keyboard.press(key)
      await expect(page.getByRole('heading', { level: 1, name })).toBeVisible({ timeout: 5000 })
    }).toPass()
  }
  const search = page.getByRole('searchbox', { name: 'Search the guides' })
  await search.focus()
  await page.keyboard.type('gq?')
  await expect(search).toHaveValue('gq?')
  await expect(page.getByRole('heading', { level: 1, name: 'Guides' })).toBeVisible()
  await expect(keys).toHaveCount(0)
})

// The guides are in the server: found by words, read by section, and each link in them leads somewhere.
import { expect, test } from './fixtures'

test('a section is found by its words, and read where it stands', async ({ page, server }) => {
  await page.goto('/')
  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Guides' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Guides' })).toBeVisible()
  await expect(page.getByRole('region', { name: 'Runbook' }).getByRole('link', { name: 'Backup and restore' })).toBeVisible()

  await page.getByRole('searchbox', { name: 'Search the guides' }).fill('health checks')
  await expect(page).toHaveURL(/\/guides\?search=health/)
  const found = page.getByRole('region', { name: 'Found' })
  await found.getByRole('link', { name: 'Health checks', exact: true }).click()
  await expect(page).toHaveURL(/\/guides\/guide#health-checks$/)
  await expect(page.getByRole('heading', { level: 1, name: 'Guide' })).toBeVisible()
  await expect(page.getByRole('heading', { level: 2, name: 'Health checks' })).toBeInViewport()

  // A link from one guide to another.
  await page.goto('/guides/errors')
  await page.getByRole('link', { name: /runbook/i }).first().click()
  await expect(page).toHaveURL(/\/guides\/runbook/)
  await expect(page.getByRole('heading', { level: 1, name: 'Runbook' })).toBeVisible()

  // By its address alone, and from a guide back to the search.
  await page.goto('/guides/guide#the-queue')
  await expect(page.getByRole('heading', { level: 2, name: 'The queue' })).toBeInViewport()
  await page.getByRole('searchbox', { name: 'Search the guides' }).fill('tokens of people')
  await page.keyboard.press('Enter')
  await expect(found.getByRole('link', { name: 'Tokens of people and of machines' })).toBeVisible()
  // The command line finds the same.
  const hits = await server.json<{ section: string }[]>('guides', 'search', 'tokens', 'of', 'people')
  expect(hits[0]?.section).toBe('tokens-of-people-and-of-machines')
})

test('what is not there says so', async ({ page }) => {
  await page.goto('/guides?search=zeppelin')
  await expect(page.getByText('No section has all of these words')).toBeVisible()
})

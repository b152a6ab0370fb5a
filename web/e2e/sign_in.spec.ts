import { expect, signIn, signedOut, test } from './fixtures'

test.use({ storageState: signedOut, expected: [/status of 401/] })

test('in by the right password alone, to the page that was asked for; out again', async ({ page, owner, browser }) => {
  await page.goto('/queue')
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()

  // Nobody learns from the answer which of both was wrong.
  await signIn(page, { ...owner, password: 'Kestrel over the quiet harbour 8' })
  const refusal = page.getByRole('alert')
  await expect(refusal).toBeVisible()
  const words = await refusal.innerText()
  await signIn(page, { email: 'nobody@example.org', password: owner.password })
  await expect(refusal).toHaveText(words.replaceAll('\n', ''))

  await signIn(page, owner)
  await expect(page.getByRole('heading', { level: 1, name: 'Queue' })).toBeVisible()
  await expect(page.getByRole('status', { name: 'Connection: Live' })).toBeVisible()

  // It lasts: another tab needs no password.
  const tab = await page.context().newPage()
  await tab.goto('/')
  await expect(tab.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()

  const state = await page.context().storageState()
  await page.getByRole('button', { name: `Account of ${owner.name}` }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await page.goto('/queue')
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()

  // The session has ended at the server: the cookie that somebody kept is worth nothing.
  const kept = await browser.newContext({ storageState: state })
  const ghost = await kept.newPage()
  await ghost.goto('/')
  await expect(ghost.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await kept.close()
})

test('after signing in one goes to pages of this server alone', async ({ page, owner }) => {
  await page.goto('/sign-in?next=//example.org/')
  await signIn(page, owner)
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()
  expect(new URL(page.url()).pathname).toBe('/')
})

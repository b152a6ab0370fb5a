// Two tabs of one browser: they share the cookie, and so who is signed in.
import type { Page } from '@playwright/test'
import { complaints, expect, signIn, signedOut, test } from './fixtures'

test.use({ storageState: signedOut, expected: [/status of 401/] })

const bob = { name: 'Bob Ferris', email: 'bob@example.org', password: 'Halyard by the western mole 9' }
const live = (page: Page) => expect(page.getByRole('status', { name: 'Connection: Live' })).toBeVisible()

async function signOut(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: `Account of ${name}` }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
}

test('who signs out is out in each tab, and who signs in next sees their own, live', async ({ page, context, browser, server, owner }) => {
  const { secret } = await server.json<{ secret: string }>('users', 'invite', bob.email, '--role', 'viewer')
  const elsewhere = await browser.newContext({ storageState: signedOut, baseURL: server.url })
  const his = await elsewhere.newPage()
  await his.goto(`/invitation#${secret}`)
  await his.getByLabel('Name').fill(bob.name)
  await his.getByLabel('Password').fill(bob.password)
  await his.getByRole('button', { name: 'Accept and sign in' }).click()
  await expect(his.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()
  await elsewhere.close()

  await page.goto('/queue')
  await signIn(page, owner)
  await expect(page.getByRole('heading', { level: 1, name: 'Queue' })).toBeVisible()
  const tab = await context.newPage()
  const said = complaints(tab)
  await tab.goto('/tokens')
  await expect(tab.getByRole('heading', { level: 1, name: 'Tokens' })).toBeVisible()
  await live(page)
  await live(tab)

  // The other tab, untouched, shows nothing of hers any more.
  await signOut(page, owner.name)
  await expect(tab.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await expect(tab.getByRole('heading', { level: 1, name: 'Tokens' })).toBeHidden()

  // Somebody else signs in: both tabs are theirs, and live.
  await signIn(page, bob)
  for (const each of [page, tab]) {
    await expect(each.getByRole('button', { name: `Account of ${bob.name}` })).toBeVisible()
    await live(each)
  }
  await expect(tab).toHaveURL(/\/tokens$/)
  await tab.goto('/')
  await server.cli('apps', 'create', 'mole')
  await expect(tab.getByRole('link', { name: 'mole', exact: true })).toBeVisible()

  // And back again, from the other tab.
  await signOut(tab, bob.name)
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await signIn(tab, owner)
  await expect(page.getByRole('button', { name: `Account of ${owner.name}` })).toBeVisible()
  await live(page)
  expect(said.filter((line) => !/status of 401/.test(line))).toEqual([])
})

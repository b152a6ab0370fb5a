// Two tabs of one browser: they share the cookie, and so who is signed in. And two browsers, each with a session of its own.
import type { Page } from '@playwright/test'
import { complaints, expect, signIn, signedOut, test } from './fixtures'
import { accepted } from './flow'

// One pattern: Playwright takes a pair for a value with its options.
test.use({ storageState: signedOut, expected: [/status of 40[01]/] })

const bob = { name: 'Bob Ferris', email: 'bob@example.org', password: 'Halyard by the western mole 9' }
const ida = { name: 'Ida Krog', email: 'ida.krog@example.org', password: 'Marlin beside the northern groyne 5' }
const live = (page: Page) => expect(page.getByRole('status', { name: 'Connection: Live' })).toBeVisible()

async function signOut(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: `Account of ${name}` }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
}

test('who signs out is out in each tab, and who signs in next sees their own, live', async ({ page, context, browser, server, owner }) => {
  const elsewhere = await browser.newContext({ storageState: signedOut, baseURL: server.url })
  await accepted(await elsewhere.newPage(), server, bob, '--role', 'viewer')
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

test('one’s session in another browser is ended from here: by a button, and by another password', async ({ page, browser, server, owner }) => {
  // Nobody signs in by password where there is no owner.
  expect(owner.state.cookies).not.toEqual([])
  await accepted(page, server, ida, '--role', 'viewer')
  const userAgent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
  const elsewhere = await browser.newContext({ storageState: signedOut, baseURL: server.url, userAgent })
  const there = await elsewhere.newPage()
  const comeThere = async (password: string) => {
    await there.goto('/queue')
    await expect(there.getByRole('heading', { name: 'Sign in' })).toBeVisible()
    await signIn(there, { ...ida, password })
  }
  const isIn = () => expect(there.getByRole('heading', { level: 1, name: 'Queue' })).toBeVisible()
  await comeThere(ida.password)
  await isIn()

  await page.goto('/settings/account')
  const rows = page.getByRole('table', { name: 'Your sessions' }).getByRole('row')
  const other = rows.filter({ hasText: 'Firefox on Linux' })
  await expect(rows.filter({ hasText: 'This one' })).toContainText('Invitation')
  await expect(other).toContainText('Password')
  await other.getByRole('button', { name: /^End the session of Firefox on Linux from / }).click()
  const question = page.getByRole('dialog', { name: 'End this session?' })
  await expect(question.getByRole('button', { name: 'Keep as it is' })).toBeFocused()
  await question.getByRole('button', { name: 'End the session' }).click()
  await expect(page.getByText('The session has ended.')).toBeVisible()
  await expect(other).toHaveCount(0)
  await comeThere(ida.password)
  await isIn()

  // Who does not know the password of now changes nothing.
  const next = 'Cormorant beyond the outer breakwater 8'
  const form = page.getByRole('region', { name: 'Password', exact: true })
  await form.getByLabel('Current password').fill('Marlin beside the northern groyne 6')
  await form.getByLabel('New password').fill(next)
  await form.getByRole('button', { name: 'Change the password' }).click()
  await expect(form.getByRole('alert')).toHaveText('That is not your password.')
  await there.reload()
  await isIn()
  await form.getByLabel('Current password').fill(ida.password)
  await form.getByRole('button', { name: 'Change the password' }).click()
  await expect(page.getByText('Your password is changed.')).toBeVisible()
  await expect(page.getByText('1 session elsewhere has ended.')).toBeVisible()
  await expect(form.getByLabel('New password')).toHaveValue('')

  await comeThere(ida.password)
  await expect(there.getByRole('alert')).toBeVisible()
  await signIn(there, { ...ida, password: next })
  await isIn()
  await elsewhere.close()
  // This one goes on.
  await page.goto('/queue')
  await expect(page.getByRole('heading', { level: 1, name: 'Queue' })).toBeVisible()
  await live(page)
})

// Setup link → owner → overview, and what is refused on the way.
import { becomeOwner, expect, person, signedOut, test } from './fixtures'

// A page that asks who one is gets 401; the browser writes that to the console.
test.use({ storageState: signedOut, expected: [/status of 40[0-9]/] })

test('the link of the first start makes an owner, once', async ({ page, context, untouched, browser }) => {
  await page.goto(untouched.url)
  await expect(page.getByRole('heading', { name: 'Nobody can sign in yet' })).toBeVisible()

  const link = untouched.setupLink
  await page.goto(link)
  await expect(page.getByRole('heading', { name: 'Welcome to Plimsoll' })).toBeVisible()
  // The secret is worth the server: it leaves the address line, and no request carries it there.
  await expect(page).toHaveURL(`${untouched.url}/setup`)
  await page.getByLabel('Name').fill('Ada')
  await page.getByLabel('Password').fill('too short')
  await page.getByRole('button', { name: 'Become the owner' }).click()
  await expect(page.getByText('At least 12 characters')).toBeVisible()

  await becomeOwner(page, untouched)
  await expect(page.getByText('No apps yet')).toBeVisible()
  await expect(page.getByRole('status', { name: 'Connection: Live' })).toBeVisible()

  const cookies = await context.cookies(untouched.url)
  expect(cookies.map(({ name }) => name)).toContain('__Host-plimsoll')
  expect(cookies.find(({ name }) => name === '__Host-plimsoll')).toMatchObject({ path: '/', secure: true, httpOnly: true, sameSite: 'Strict' })
  expect(await page.evaluate(() => document.cookie)).not.toContain('plimsoll')

  // A second one who has the link gets nothing by it.
  const other = await browser.newContext({ storageState: signedOut })
  const late = await other.newPage()
  await late.goto(link)
  await late.getByLabel('Name').fill('Mallory')
  await late.getByLabel('E-mail').fill('mallory@example.org')
  await late.getByLabel('Password').fill(person.password)
  await late.getByRole('button', { name: 'Become the owner' }).click()
  await expect(late.getByRole('alert')).toBeVisible()
  await late.goto(untouched.url)
  await expect(late.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await other.close()
})

test('a link that is not whole, and one that was never made, say so', async ({ page, untouched }) => {
  await page.goto(`${untouched.url}/setup`)
  await expect(page.getByRole('heading', { name: 'This link is not whole' })).toBeVisible()
  // Another fragment alone would load nothing anew.
  await page.goto('about:blank')
  await page.goto(untouched.setupLink.replace(/.{8}$/, 'AAAAAAAA'))
  await page.getByLabel('Name').fill(person.name)
  await page.getByLabel('E-mail').fill(person.email)
  await page.getByLabel('Password').fill(person.password)
  await page.getByRole('button', { name: 'Become the owner' }).click()
  await expect(page.getByRole('alert')).toBeVisible()
  await expect(page).toHaveURL(`${untouched.url}/setup`)
})

// A code beside the password: set up, asked for, lost and found, asked for again before something grave, and switched off.
import type { Page } from '@playwright/test'
import { Authenticator } from './authenticator'
import { expect, signIn, signedOut, test } from './fixtures'
import { accepted, signOut } from './flow'

const zoe = { name: 'Zoe Falk', email: 'zoe.falk@example.org', password: 'Cordage beside the northern mole 5' }

test.use({ storageState: signedOut, expected: [/status of 40[013]/] })

// Nobody signs in by password where there is no owner.
test.beforeAll(({ owner }) => expect(owner.state.cookies).not.toEqual([]))

test('codes and recovery codes let in once each, and confirm', async ({ page, server }) => {
  // A third code may be half a minute away.
  test.setTimeout(400_000)
  await accepted(page, server, zoe, '--role', 'viewer')

  await page.goto('/settings/account')
  const part = page.getByRole('region', { name: 'Second factor' })
  await part.getByRole('button', { name: 'Set up' }).click()
  await expect(part.getByRole('img', { name: 'The key as a QR code' })).toBeVisible()
  const phone = new Authenticator(await part.getByLabel('The key', { exact: true }).innerText())
  await part.getByLabel('Code', { exact: true }).fill(phone.wrong)
  await part.getByRole('button', { name: 'Switch on' }).click()
  await expect(part.getByRole('alert')).toContainText('not the code of this moment')
  await part.getByLabel('Code', { exact: true }).fill(await phone.next())
  await part.getByRole('button', { name: 'Switch on' }).click()
  const shown = part.getByLabel('Recovery codes', { exact: true })
  await expect(shown).toBeVisible()
  const codes = (await shown.innerText()).trim().split('\n')
  expect(codes).toHaveLength(10)
  const [lost = '', found = '', gone = ''] = codes
  await part.getByRole('button', { name: 'I have them' }).click()
  await expect(part).toContainText('10 recovery codes left')
  expect(await page.content()).not.toContain(lost)

  // The password alone leads to no page any more.
  await signOut(page, zoe.name)
  await signIn(page, zoe)
  await expect(page.getByRole('heading', { name: 'Second step' })).toBeVisible()
  await page.goto('/')
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await signIn(page, zoe)
  await give(page, phone.wrong)
  await expect(page.getByRole('alert')).toContainText('That code is not good')
  await give(page, await phone.next())
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()

  // Each is good once: that of the phone, and that on paper, however it is typed.
  await signOut(page, zoe.name)
  await signIn(page, zoe)
  await give(page, phone.spent)
  await expect(page.getByRole('alert')).toContainText('each code is good once')
  await give(page, lost.toUpperCase().replaceAll('-', ' '))
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()
  await signOut(page, zoe.name)
  await signIn(page, zoe)
  await give(page, lost)
  await expect(page.getByRole('alert')).toContainText('That code is not good')
  await give(page, found)
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()
  await page.goto('/settings/account')
  await expect(part).toContainText('8 recovery codes left')

  // A while later, something grave asks again. Nothing is done for who would rather not.
  await server.later(zoe.email)
  const question = page.getByRole('dialog', { name: 'Switch the second factor off?' })
  const identity = page.getByRole('dialog', { name: 'Confirm that it is you' })
  await part.getByRole('button', { name: 'Switch off' }).click()
  await question.getByRole('button', { name: 'Switch off' }).click()
  await expect(identity.getByLabel('Code', { exact: true })).toBeFocused()
  await page.keyboard.press('Escape')
  await expect(identity).toBeHidden()
  await expect(question.getByText('You did not confirm that it is you')).toBeVisible()
  await question.getByRole('button', { name: 'Switch off' }).click()
  await expect(identity.getByLabel('Code', { exact: true })).toBeFocused()
  await page.keyboard.type(phone.wrong)
  await page.keyboard.press('Enter')
  await expect(identity.getByRole('alert')).toContainText('That code is not good')
  await expect(identity.getByLabel('Code', { exact: true })).toBeFocused()
  // What was wrong is selected: typing takes its place.
  await page.keyboard.type(await phone.next())
  await page.keyboard.press('Enter')
  await expect(page.getByText('The second factor is off.')).toBeVisible()
  await expect(identity).toBeHidden()
  await expect(question).toBeHidden()
  await expect(part.getByRole('button', { name: 'Set up' })).toBeVisible()

  // The codes on paper went with it, and nothing but the password is asked for.
  await signOut(page, zoe.name)
  await signIn(page, zoe)
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()
  await server.later(zoe.email)
  await page.goto('/settings/account')
  await part.getByRole('button', { name: 'Set up' }).click()
  await expect(identity.getByLabel('Password')).toBeFocused()
  await expect(identity.getByRole('button', { name: 'Give a code instead' })).toHaveCount(0)
  await page.keyboard.type(gone)
  await page.keyboard.press('Enter')
  await expect(identity.getByRole('alert')).toContainText('That is not your password')
  await page.keyboard.type(zoe.password)
  await page.keyboard.press('Enter')
  await expect(part.getByRole('img', { name: 'The key as a QR code' })).toBeVisible()
})

/** At the second step of signing in. */
async function give(page: Page, code: string): Promise<void> {
  const answered = page.waitForResponse((response) => response.url().endsWith('/api/v1/auth/second-factor'))
  await page.getByLabel('Code', { exact: true }).fill(code)
  await page.getByRole('button', { name: 'Go on' }).click()
  await answered
}

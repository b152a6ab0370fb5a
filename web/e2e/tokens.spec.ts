// A token from the page to a program, and out again.
import { expect, test } from './fixtures'
import type { Server } from './harness'

/** What the API answers to a program with the token. */
const asked = async (server: Server, token: string, path: string, body?: object) => {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  const response = await fetch(`${server.url}${path}`, body ? { method: 'POST', headers, body: JSON.stringify(body) } : { headers })
  return { status: response.status, answer: (await response.json()) as { name?: string; code?: string } }
}

test('a token is shown once, lets a program in as far as it may, and is refused once it is revoked', async ({ page, server, owner }) => {
  await page.goto('/tokens')
  await page.getByRole('button', { name: 'New token' }).click()
  const choose = page.getByRole('dialog', { name: 'New token' })
  await choose.getByLabel('Name').fill('No Such Name')
  await choose.getByRole('button', { name: 'Make the token' }).click()
  await expect(choose.getByRole('alert')).toContainText('Small letters')
  await choose.getByLabel('Name').fill('workbench')
  await expect(choose.getByLabel('Role', { exact: true })).toHaveValue('viewer')
  await choose.getByLabel('Ends').selectOption('In 30 days')
  await choose.getByRole('button', { name: 'Make the token' }).click()

  const once = page.getByRole('dialog', { name: 'The token workbench' })
  const token = (await once.getByLabel('The token', { exact: true }).innerText()).trim()
  expect(token.length).toBeGreaterThan(30)
  await expect(once.getByRole('button', { name: 'Copy: The token' })).toBeVisible()
  await once.getByRole('button', { name: 'I have put it in its place' }).click()
  await expect(once).toBeHidden()
  await page.reload()
  const row = page.getByRole('table', { name: 'Tokens: Yours' }).getByRole('row').filter({ hasText: 'workbench' })
  await expect(row).toContainText('viewer everywhere')
  await expect(row).toContainText('in 29 days')
  await expect(row).toContainText('never')
  expect(await page.content()).not.toContain(token)

  expect(await asked(server, token, '/api/v1/me')).toMatchObject({ status: 200 })
  // It is its owner's, and less than its owner.
  expect(await asked(server, token, '/api/v1/apps', { name: 'by-a-program' })).toMatchObject({ status: 403, answer: { code: 'forbidden' } })
  // Uses are noted now and then.
  await expect(async () => {
    await page.reload()
    await expect(row).toContainText('workbench')
    expect(await row.innerText()).not.toContain('never')
  }).toPass({ timeout: 90_000 })

  await row.getByRole('button', { name: 'Revoke workbench' }).click()
  const question = page.getByRole('dialog', { name: 'Revoke workbench?' })
  await expect(question.getByRole('button', { name: 'Keep as it is' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(question).toBeHidden()
  expect(await asked(server, token, '/api/v1/me')).toMatchObject({ status: 200 })
  await row.getByRole('button', { name: 'Revoke workbench' }).click()
  await question.getByRole('button', { name: 'Revoke', exact: true }).click()
  await expect(question).toBeHidden()
  await expect(row).toHaveCount(0)
  expect(await asked(server, token, '/api/v1/me')).toMatchObject({ status: 401 })

  // It is still known, to who looks for it.
  await page.getByRole('button', { name: /that ha(s|ve) ended/ }).click()
  await expect(page).toHaveURL(/ended=true/)
  await expect(row).toContainText('Revoked')
  await expect(row.getByRole('button', { name: 'Revoke workbench' })).toHaveAccessibleDescription('It is revoked already')
  await expect(row).toContainText(`by ${owner.name}`)
})

test('a machine’s token is one of machines, and acts in its own name', async ({ page, server }) => {
  await page.goto('/tokens')
  await page.getByRole('button', { name: 'New token' }).click()
  const choose = page.getByRole('dialog', { name: 'New token' })
  await choose.getByLabel('Name').fill('ci')
  await choose.getByLabel('For', { exact: true }).selectOption('A machine')
  await choose.getByLabel('Role', { exact: true }).selectOption('deployer')
  await choose.getByLabel('Ends').selectOption('When it is revoked')
  await choose.getByRole('button', { name: 'Make the token' }).click()
  const once = page.getByRole('dialog', { name: 'The token ci' })
  const token = (await once.getByLabel('The token', { exact: true }).innerText()).trim()
  await once.getByRole('button', { name: 'I have put it in its place' }).click()
  const row = page.getByRole('table', { name: 'Tokens: Of machines' }).getByRole('row').filter({ hasText: 'deployer everywhere' })
  await expect(row).toContainText('ci')
  await expect(row).toContainText('when revoked')
  expect(await asked(server, token, '/api/v1/me')).toMatchObject({ status: 200, answer: { name: 'ci' } })
})

// Who comes in by an invitation, what they may not do, and how they go.
import { complaints, expect, signedOut, test } from './fixtures'
import { createApp } from './flow'

const vera = { name: 'Vera Brandt', email: 'vera@example.org', password: 'Lantern under the eastern pier 4' }

test('a viewer comes by a link, looks, can’t deploy, and is signed out by the owner', async ({ page, server, repo, browser }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'harbour', repo)

  // The link is told once, to who invites.
  await page.goto('/people')
  await page.getByRole('button', { name: 'Invite', exact: true }).click()
  const dialog = page.getByRole('dialog')
  await dialog.getByLabel('E-mail').fill(vera.email)
  await expect(dialog.getByLabel('Role')).toHaveValue('viewer')
  await dialog.getByRole('button', { name: 'Make the link' }).click()
  const shown = dialog.getByLabel('Link of the invitation', { exact: true })
  await expect(shown).toContainText('/invitation#')
  const link = (await shown.innerText()).trim()
  expect(link.startsWith(`${server.url}/invitation#inv_`)).toBe(true)
  await dialog.getByRole('button', { name: 'Done' }).click()
  const waiting = page.getByRole('table', { name: 'Waiting invitations' })
  await expect(waiting).toContainText(vera.email)
  await expect(page.locator('body')).not.toContainText(link.slice(link.indexOf('#') + 1))

  const context = await browser.newContext({ storageState: signedOut, baseURL: server.url })
  const viewer = await context.newPage()
  await viewer.goto(link)
  await viewer.getByLabel('Name').fill(vera.name)
  await viewer.getByLabel('Password').fill(vera.password)
  await viewer.getByRole('button', { name: 'Accept and sign in' }).click()
  await expect(viewer.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()
  const said = complaints(viewer)

  // What they may not do stays in sight, with its reason; the server refuses it all the same.
  await viewer.goto('/apps/harbour/production')
  const deploy = viewer.getByRole('button', { name: 'Deploy', exact: true })
  await expect(deploy).toHaveAttribute('aria-disabled', 'true')
  await expect(deploy).toHaveAccessibleDescription('This needs the role deployer in harbour; yours is viewer')
  await deploy.click({ force: true })
  await expect(viewer.getByRole('dialog')).toHaveCount(0)
  await viewer.goto('/people')
  await expect(viewer.getByText('Owners of the server look after people')).toBeVisible()
  await expect(viewer.getByRole('button', { name: 'Invite', exact: true })).toHaveAccessibleDescription(/needs the role owner/)
  await viewer.goto('/apps/harbour/members')
  await expect(viewer.getByRole('button', { name: 'Add', exact: true })).toHaveAccessibleDescription(/needs the role admin in harbour/)
  expect(said, 'nothing is asked that would be refused').toEqual([])
  const refused = await viewer.evaluate(async () => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }
    const response = await fetch('/api/v1/apps/harbour/environments/production/deployments', init)
    return { status: response.status, problem: (await response.json()) as { code: string } }
  })
  expect(refused).toMatchObject({ status: 403, problem: { code: 'forbidden' } })

  // Their own page: the session of this browser is marked.
  await viewer.goto('/settings/account')
  await expect(viewer.getByRole('table', { name: 'Your sessions' })).toContainText('This one')
  await expect(viewer.getByRole('status', { name: 'Connection: Live' })).toBeVisible()

  // The invitation is used up; the person stands in its place.
  await page.reload()
  await expect(page.getByRole('table', { name: 'People' })).toContainText(vera.email)
  await expect(page.getByRole('region', { name: 'Waiting invitations' })).not.toContainText(vera.email)
  await page.getByRole('link', { name: vera.name }).click()
  await expect(page.getByRole('heading', { level: 1, name: vera.name })).toBeVisible()
  await page.getByRole('button', { name: /^End the session of / }).click()
  const question = page.getByRole('dialog', { name: 'End this session?' })
  await expect(question.getByRole('button', { name: 'Keep as it is' })).toBeFocused()
  await question.getByRole('button', { name: 'End the session' }).click()
  await expect(page.getByText('Not signed in anywhere')).toBeVisible()

  // The open page, untouched, goes to the sign-in.
  await expect(viewer.getByRole('heading', { name: 'Sign in' })).toBeVisible({ timeout: 90_000 })
  await viewer.goto('/apps/harbour')
  await expect(viewer.getByRole('heading', { name: 'Sign in' })).toBeVisible()
  await context.close()
})

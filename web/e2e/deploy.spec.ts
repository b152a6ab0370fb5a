// From an empty server to an app that answers, and what is seen when it does not come to that.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, signIn, signedOut, test } from './fixtures'
import { Gate, createApp, deployByPage, deployed, standing } from './flow'
import { fits } from './look'

test('a new app is deployed, and its log is live', async ({ page, server, repo }) => {
  const gate = new Gate(server, 'live')
  repo.commit({ version: 'v1', build: `echo one two three; ${gate.wait}; echo and on it goes` })
  await page.goto('/')
  await page.getByRole('button', { name: 'New app' }).first().click()
  await page.getByLabel('Name').fill('live')
  await page.getByLabel('Git repository').fill(repo.path)
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'live' })).toBeVisible()

  await deployByPage(page, 'live')
  const log = page.getByRole('log', { name: 'Output of the deployment' })
  // The build waits for us: what is seen now was seen while it runs.
  await expect(log.getByText('one two three', { exact: true })).toBeVisible()
  await expect(standing(page, 'Building')).toBeVisible()
  await expect(page.getByRole('button', { name: 'Cancel' })).toBeVisible()
  await expect(log.getByText('and on it goes', { exact: true })).toHaveCount(0)
  gate.open()
  await expect(standing(page, 'Active')).toBeVisible()
  await expect(log.getByText('and on it goes', { exact: true })).toBeVisible()
  expect(await server.visit('live')).toBe('v1')

  // Nothing came twice, though the page was there from the start.
  const numbers = await log.locator('a').allInnerTexts()
  expect(new Set(numbers).size).toBe(numbers.length)

  await page.getByRole('link', { name: 'production' }).first().click()
  await expect(standing(page, 'Healthy')).toBeVisible()
  await expect(page.getByRole('log', { name: 'Log of live / production' }).getByText('version v1 listens')).toBeVisible()
})

test('a failed build says why without a click, and can be tried again', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1', build: 'echo compiling the sails; echo "sails.c:12: error: no wind" >&2; exit 1' })
  await createApp(server, 'broken', repo)
  await deployByPage(page, 'broken')
  await expect(standing(page, 'Failed')).toBeVisible()
  const lines = page.getByLabel('The last lines of its output')
  await expect(lines).toContainText('sails.c:12: error: no wind')
  await expect(lines).toBeInViewport()
  await expect(page.getByText('In the phase building.')).toBeVisible()
  await expect(page).toHaveTitle(/production · broken|broken/)

  repo.commit({ version: 'v2' })
  await page.getByRole('button', { name: 'Deploy again' }).click()
  const again = page.getByRole('dialog', { name: 'Deploy again?' })
  await expect(again.getByRole('button', { name: 'Keep as it is' })).toBeFocused()
  await again.getByRole('button', { name: 'Deploy', exact: true }).click()
  await expect(standing(page, 'Active')).toBeVisible()
  expect(await server.visit('broken')).toBe('v2')
})

test('a version that is never healthy changes nothing for visitors', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'sick', repo)
  await deployed(server, 'sick')
  repo.commit({ version: 'v2', env: { EXIT_AT_START: '1' } })
  await deployByPage(page, 'sick')
  await expect(standing(page, 'Failed').or(standing(page, 'Rolled back'))).toBeVisible({ timeout: 90_000 })
  await expect(page.getByText('can’t find the moon').or(page.getByText("can't find the moon")).first()).toBeVisible()
  expect(await server.visit('sick')).toBe('v1')
})

test('a cancelled deployment leaves what was there', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'halted', repo)
  await deployed(server, 'halted')
  const gate = new Gate(server, 'halted')
  repo.commit({ version: 'v2', build: gate.wait })
  await deployByPage(page, 'halted')
  await expect(standing(page, 'Building')).toBeVisible()

  await page.getByRole('button', { name: 'Cancel', exact: true }).click()
  const dialog = page.getByRole('dialog', { name: 'Cancel this deployment?' })
  await expect(dialog).toContainText('v1 keeps serving')
  await expect(dialog.getByRole('button', { name: 'Keep as it is' })).toBeFocused()
  // The safe answer changes nothing.
  await page.keyboard.press('Enter')
  await expect(dialog).toBeHidden()
  await expect(standing(page, 'Building')).toBeVisible()

  await page.getByRole('button', { name: 'Cancel', exact: true }).click()
  await dialog.getByRole('button', { name: 'Cancel the deployment' }).click()
  await expect(standing(page, 'Cancelled')).toBeVisible()
  expect(await server.visit('halted')).toBe('v1')
})

test('a stuck deployment says so, is abandoned, and tells of its end', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'snagged', repo)
  await deployed(server, 'snagged')
  // A folder where the link to its files belongs: that can be neither made nor taken back.
  const { id: environment } = await server.json<{ id: string }>('envs', 'show', 'production', '--app', 'snagged')
  mkdirSync(join(server.root, 'data', 'sites', `${environment}-web`, 'g2'), { recursive: true })
  repo.commit({ version: 'v2', files: { 'plimsoll.toml': '[components.web]\nkind = "static"\n', 'index.html': '<h1>v2</h1>' } })
  await deployByPage(page, 'snagged')
  await expect(standing(page, 'Stuck')).toBeVisible({ timeout: 90_000 })
  await expect(page.getByRole('alert').filter({ hasText: 'It waits for somebody' })).toContainText("Can't remove a link")
  await expect(page.getByRole('button', { name: 'Go on', exact: true })).toBeVisible()
  expect(await server.visit('snagged')).toBe('v1')

  const abandon = page.getByRole('button', { name: 'Abandon', exact: true })
  await abandon.click()
  const dialog = page.getByRole('dialog', { name: 'Abandon this deployment?' })
  for (const told of ['What it has done is not taken back', 'v1 keeps serving', 'the next deployment can begin at once']) await expect(dialog).toContainText(told)
  await expect(dialog.getByRole('button', { name: 'Keep as it is' })).toBeFocused()
  // The safe answer changes nothing.
  await page.keyboard.press('Enter')
  await expect(dialog).toBeHidden()
  await expect(standing(page, 'Stuck')).toBeVisible()

  await abandon.click()
  await dialog.getByRole('button', { name: 'Abandon the deployment' }).click()
  await expect(standing(page, 'Failed')).toBeVisible()
  await expect(page.getByRole('main')).toContainText(/abandoned by .+; not taken back: /)
  await expect(abandon).toBeHidden()
  expect(await server.visit('snagged')).toBe('v1')

  repo.commit({ version: 'v3' })
  await page.getByRole('button', { name: 'Deploy again' }).click()
  await page.getByRole('dialog', { name: 'Deploy again?' }).getByRole('button', { name: 'Deploy', exact: true }).click()
  await expect(standing(page, 'Active')).toBeVisible({ timeout: 90_000 })
  expect(await server.visit('snagged')).toBe('v3')
})

test.describe('on the narrowest phone', () => {
  test.use({ storageState: signedOut, viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, expected: [/status of 401/] })

  test('one signs in, deploys, watches, and goes back', async ({ page, server, owner, repo }) => {
    const gate = new Gate(server, 'dinghy')
    repo.commit({ version: 'v1' })
    await createApp(server, 'dinghy', repo)
    await deployed(server, 'dinghy')
    repo.commit({ version: 'v2', build: `echo the sail is hoisted; ${gate.wait}` })

    await page.goto('/')
    await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
    await fits(page, 'the sign-in')
    await signIn(page, owner)
    const title = (name: string) => page.getByRole('heading', { level: 1, name, exact: true })
    await expect(title('Overview')).toBeVisible()
    await fits(page, 'the overview')
    await page.getByRole('link', { name: 'dinghy', exact: true }).tap()
    await expect(title('dinghy')).toBeVisible()
    await fits(page, 'the app')
    await page.getByRole('link', { name: 'production', exact: true }).first().tap()
    await expect(title('production')).toBeVisible()
    await fits(page, 'the environment')

    await page.getByRole('button', { name: 'Deploy', exact: true }).tap()
    const deploy = page.getByRole('dialog', { name: 'Deploy dinghy to production' })
    await expect(deploy).toBeVisible()
    await fits(page, 'the environment, with a dialog,')
    await deploy.getByRole('button', { name: 'Deploy', exact: true }).tap()
    await expect(page).toHaveURL(/\/deployments\/dep_/)
    await expect(standing(page, 'Building')).toBeVisible()
    const log = page.getByRole('log', { name: 'Output of the deployment' })
    await expect(log.getByText('the sail is hoisted', { exact: true })).toBeVisible()
    await fits(page, 'a deployment at work')
    gate.open()
    await expect(standing(page, 'Active')).toBeVisible()
    await fits(page, 'a deployment that serves')
    expect(await server.visit('dinghy')).toBe('v2')

    const before = page.url()
    await page.getByRole('button', { name: 'Roll back', exact: true }).tap()
    const back = page.getByRole('dialog', { name: 'Roll back dinghy / production' })
    await expect(back.getByRole('region', { name: 'What changes' })).toContainText('Version v1')
    await fits(page, 'the way back')
    await back.getByRole('button', { name: 'Roll back to v1' }).tap()
    await expect(page).not.toHaveURL(before)
    await expect(standing(page, 'Active')).toBeVisible()
    await fits(page, 'a rollback')
    expect(await server.visit('dinghy')).toBe('v1')
  })
})

// What somebody has just done is in the log, with who it was and what changed; and the log is sound.
import { expect, test } from './fixtures'

test('what was done is listed with its person, filtered by the address, exported and verified', async ({ page, server, owner, repo }) => {
  repo.commit({ version: 'v1' })
  await page.goto('/')
  await page.getByRole('button', { name: 'New app' }).first().click()
  await page.getByLabel('Name').fill('recorded')
  await page.getByLabel('Git repository').fill(repo.path)
  await page.getByRole('dialog').getByRole('button', { name: 'Create' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'recorded' })).toBeVisible()
  // As a page would.
  const status = await page.evaluate(async () => {
    const headers = { 'content-type': 'application/json' }
    return (await fetch('/api/v1/apps/recorded/concurrency', { method: 'PUT', headers, body: '{"limit":3}' })).status
  })
  expect(status).toBe(200)

  await page.goto('/audit')
  const records = page.getByRole('table', { name: 'Records, the newest first' })
  const created = records.getByRole('row').filter({ hasText: 'apps.create' }).first()
  await expect(created).toContainText(owner.name)
  await expect(created).toContainText('recorded')
  await expect(created).toContainText('web')
  await expect(created).toContainText('127.0.0.1')
  await expect(created).toContainText('Done')
  const changed = records.getByRole('row').filter({ hasText: 'apps.set_concurrency' }).filter({ hasText: 'recorded' })
  await expect(changed).toContainText(/2\s*became\s*→\s*3/)

  // By the command line, it is somebody else.
  await server.cli('tokens', 'create', 'other')
  await changed.getByRole('link', { name: owner.name }).click()
  await expect(page).toHaveURL(/actor=usr_/)
  await expect(page.getByLabel('Who')).toHaveValue(/^usr_/)
  await expect(created).toBeVisible()
  await expect(records.getByRole('row').filter({ hasText: 'tokens.create' })).toHaveCount(0)

  await page.getByLabel('Operation').fill('apps.create')
  await page.keyboard.press('Enter')
  await expect(page).toHaveURL(/operation=apps\.create/)
  await expect(changed).toHaveCount(0)
  await expect(created).toBeVisible()
  // The address is all there is: it can be passed on.
  await page.reload()
  await expect(changed).toHaveCount(0)
  await expect(created).toBeVisible()

  const waiting = page.waitForEvent('download')
  await page.getByRole('link', { name: 'Export' }).click()
  const download = await waiting
  const parts: Buffer[] = []
  for await (const part of await download.createReadStream()) parts.push(part as Buffer)
  const lines = Buffer.concat(parts).toString('utf8').trim().split('\n')
  const exported = lines.map((line) => JSON.parse(line) as { operation: string; actor_name: string })
  expect(exported.length).toBeGreaterThan(0)
  expect(exported.every(({ operation, actor_name: name }) => operation === 'apps.create' && name === owner.name)).toBe(true)

  await page.getByLabel('Outcome').selectOption('Refused')
  await expect(page.getByText('No record is like this')).toBeVisible()
  await page.getByRole('button', { name: 'Show all' }).click()
  await expect(changed).toBeVisible()

  await page.getByRole('button', { name: 'Verify' }).click()
  await expect(page.getByText(/^The log is sound up to record \d+$/)).toBeVisible()
  const anchor = (await page.getByLabel('Number and hash of the last record', { exact: true }).innerText()).trim()
  expect(anchor).toMatch(/^\d+:[0-9a-f]{64}$/)
  // The command line finds the same.
  expect(await server.json<{ sound: boolean }>('audit', 'verify', '--anchor', anchor)).toMatchObject({ sound: true })
})

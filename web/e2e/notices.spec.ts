// What one is told: at once, later in a list, elsewhere by a channel; and not at all of what one has muted.
import { type IncomingMessage, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from './fixtures'
import { createApp, ended, order } from './flow'

test.use({ serverArgs: ['--allow-outgoing', '127.0.0.0/8'] })

test('a failure is told at once, is new until it was seen, and a muted app is silent', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1', build: 'exit 1' })
  await createApp(server, 'leak', repo)
  await createApp(server, 'hush', repo)
  await page.goto('/apps/leak')
  await expect(page.getByRole('status', { name: 'Connection: Live' })).toBeVisible()
  const bell = page.getByRole('link', { name: /^Notifications, / }).first()
  await expect(bell).toHaveAccessibleName('Notifications, nothing new')
  expect(await ended(server, await order(server, 'leak'))).toBe('failed')
  const told = page.getByRole('region', { name: 'Messages' })
  await expect(told).toContainText('leak')
  await expect(bell).toHaveAccessibleName('Notifications, 1 new')
  await told.getByRole('link', { name: 'Look at it' }).click()
  await expect(page).toHaveURL(/\/deployments\/dep_/)

  await page.goto('/notifications')
  const list = page.getByRole('list', { name: 'Notices, the newest first' })
  await expect(list).toContainText('leak')
  await expect(list).toContainText('New')
  await expect(bell).toHaveAccessibleName('Notifications, nothing new')

  const form = page.getByRole('form', { name: 'Mute an app' })
  await form.getByLabel('App').selectOption('hush')
  await form.getByLabel('How long').selectOption('Until I say otherwise')
  await form.getByRole('button', { name: 'Mute' }).click()
  await expect(page.getByRole('list', { name: 'Muted apps' })).toContainText('hush')
  expect(await ended(server, await order(server, 'hush'))).toBe('failed')
  expect(await ended(server, await order(server, 'leak'))).toBe('failed')
  // The later one is there: the muted one would have been before it.
  await expect(list.getByRole('listitem').filter({ hasText: 'leak' })).toHaveCount(2)
  await expect(list).not.toContainText('hush')
  await expect(told).not.toContainText('hush failed')
  await page.getByRole('button', { name: 'Hear of hush again' }).click()
  await expect(page.getByText('None: you are told of every app')).toBeVisible()
  await expect(list).toContainText('hush')
})

test('a channel is made, tried, told of a failure, and shows what was sent', async ({ page, server, repo }) => {
  const got: { type: string; id: string }[] = []
  const receiver = createServer((request: IncomingMessage, response) => {
    let text = ''
    request.on('data', (part: Buffer) => (text += part.toString()))
    request.on('end', () => {
      got.push({ type: (JSON.parse(text) as { type: string }).type, id: String(request.headers['webhook-id']) })
      response.writeHead(204).end()
    })
  })
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve))
  const { port } = receiver.address() as AddressInfo

  await page.goto('/notifications')
  await page.getByRole('button', { name: 'New channel' }).click()
  const dialog = page.getByRole('dialog', { name: 'New channel' })
  await dialog.getByLabel('Way').selectOption('Webhook')
  await dialog.getByLabel('Name').fill('bridge')
  await dialog.getByLabel('Address').fill(`http://127.0.0.1:${port}/hook?token=not-for-eyes`)
  await dialog.getByRole('button', { name: 'Make the channel' }).click()
  const once = page.getByRole('dialog', { name: 'The secret of bridge' })
  await expect(once.getByLabel('The secret', { exact: true })).toContainText('whsec_')
  await once.getByRole('button', { name: 'I have put it in its place' }).click()
  const row = page.getByRole('table', { name: 'Channels' }).getByRole('row').filter({ hasText: 'bridge' })
  await expect(row).toContainText('All apps')
  expect(await page.content()).not.toContain('not-for-eyes')

  await row.getByRole('button', { name: 'Test bridge' }).click()
  await expect(page.getByText('The test arrived at bridge')).toBeVisible()
  expect(got.map(({ type }) => type)).toContain('test')

  repo.commit({ version: 'v1', build: 'exit 1' })
  await createApp(server, 'wreck', repo)
  expect(await ended(server, await order(server, 'wreck'))).toBe('failed')
  await expect.poll(() => got.map(({ type }) => type), { timeout: 90_000 }).toContain('deployment_failed')
  await row.getByRole('button', { name: 'More for the channel bridge' }).click()
  await page.getByRole('menuitem', { name: 'What was sent' }).click()
  const log = page.getByRole('dialog', { name: 'What was sent to bridge' }).getByRole('list')
  await expect(log.getByRole('listitem').filter({ hasText: 'wreck' })).toContainText('Sent')
  // The same message once more has the same id: the receiver can tell.
  const before = got.length
  await log.getByRole('listitem').filter({ hasText: 'wreck' }).getByRole('button', { name: /again$/ }).click()
  await expect.poll(() => got.length, { timeout: 90_000 }).toBeGreaterThan(before)
  expect(got.at(-1)?.id).toBe(got.findLast(({ type }, index) => type === 'deployment_failed' && index < before)?.id)
  await page.keyboard.press('Escape')

  await row.getByRole('button', { name: 'More for the channel bridge' }).click()
  await page.getByRole('menuitem', { name: 'Remove' }).click()
  await page.getByRole('dialog', { name: 'Remove the channel bridge?' }).getByRole('button', { name: 'Remove' }).click()
  await expect(page.getByText('Nobody else is told')).toBeVisible()
  await new Promise((resolve) => receiver.close(resolve))
})

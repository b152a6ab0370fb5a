// The server goes away and comes back: what was seen stays, is called old, and goes on by itself.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from './fixtures'
import { createApp, deployed, order, standing } from './flow'

// A server of its own: others' pages would not like to see it go.
test.use({ serverArgs: ['--workers', '2'], expected: [/ERR_|Failed to fetch|net::|status of 50/] })

test('a page says that the server is gone, and catches up with what happened', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'steady', repo)
  const id = await deployed(server, 'steady')
  await page.goto('/apps/steady')
  const live = page.getByRole('status', { name: 'Connection: Live' })
  await expect(live).toBeVisible()
  await server.kill9()
  await expect(page.getByRole('status', { name: /^Connection: (Offline|Connecting)$/ })).toBeVisible()
  await expect(page.getByText('The server has not answered since')).toBeVisible({ timeout: 90_000 })
  await expect(page.getByRole('heading', { level: 1, name: 'steady' })).toBeVisible()
  expect(await server.visit('steady')).toBe('v1')

  await server.restart()
  repo.commit({ version: 'v2' })
  await order(server, 'steady')
  await expect(live).toBeVisible({ timeout: 90_000 })
  await expect(page.getByText('The server has not answered since')).toBeHidden()
  // The session outlives the server, and what happened is seen without a reload.
  await expect(page.getByRole('region', { name: 'production' }).getByText('v2', { exact: true })).toBeVisible({ timeout: 90_000 })
  await page.goto(`/deployments/${id}`)
  await expect(standing(page, 'Active')).toBeVisible()
})

test('what an app prints while the server is away comes into the log once, and in its order', async ({ page, server, repo }) => {
  // It goes on without a server, and rings when the test says so.
  const bell = (n: number) => join(server.shared, `bell-${n}`)
  const start = [
    `(n=1; while :; do until [ -e ${join(server.shared, 'bell-$n')} ]; do sleep 0.05; done; echo "bell $n"; n=$((n + 1)); done) &`,
    'exec python3 serve.py',
  ]
  repo.commit({ version: 'v1', files: { Procfile: 'web: sh start.sh\n', 'start.sh': `${start.join('\n')}\n` } })
  await createApp(server, 'lightship', repo)
  await deployed(server, 'lightship')
  await page.goto('/apps/lightship/production')
  const lines = page.getByRole('log', { name: 'Log of lightship / production' }).locator('[data-stream]')
  const heard = async () => (await lines.locator('> span:last-child').allInnerTexts()).filter((text) => text.startsWith('bell '))
  const bells = (to: number) => Array.from({ length: to }, (_, index) => `bell ${index + 1}`)
  const ring = (from: number, to: number) => {
    for (let n = from; n <= to; n += 1) writeFileSync(bell(n), '')
  }
  ring(1, 5)
  await expect.poll(heard).toEqual(bells(5))
  await server.kill9()
  await expect(page.getByRole('status', { name: /^Connection: (Offline|Connecting)$/ })).toBeVisible()
  ring(6, 10)
  await server.restart()
  await expect(page.getByRole('status', { name: 'Connection: Live' })).toBeVisible({ timeout: 90_000 })
  ring(11, 15)
  await expect.poll(heard, { timeout: 90_000 }).toEqual(bells(15))
  // Numbers tell lines apart: none is there twice, and none is left out.
  const numbers = (await lines.locator('a').allInnerTexts()).map(Number)
  expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index))
})

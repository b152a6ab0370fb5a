// One worker: what waits, why, and how its order is changed with the keyboard alone.
import { expect, test } from './fixtures'
import { Gate, createApp, ended, order } from './flow'
import { Repo } from './repo'

test.use({ serverArgs: ['--workers', '1'] })

test('what waits is moved by keyboard, and begins in the new order', async ({ page, server, repo }) => {
  const gate = new Gate(server, 'queue')
  repo.commit({ version: 'v1', build: gate.wait })
  await createApp(server, 'slow', repo)
  const quick = new Repo()
  quick.commit({ version: 'v1' })
  for (const app of ['first', 'second', 'third']) await createApp(server, app, quick)

  const slow = await order(server, 'slow')
  await page.goto('/queue')
  await expect(page.getByRole('table', { name: 'Deployments at work' })).toContainText('slow / production')
  // They appear without a reload.
  const ids = [await order(server, 'first'), await order(server, 'second'), await order(server, 'third')]
  const waiting = page.getByRole('table', { name: 'Deployments that wait' })
  const names = () => waiting.getByRole('row').filter({ hasText: '/ production' }).locator('a').filter({ hasText: '/ production' }).allInnerTexts()
  await expect.poll(names).toEqual(['first / production', 'second / production', 'third / production'])

  await page.getByRole('button', { name: 'Move third / production up' }).focus()
  await page.keyboard.press('Enter')
  await expect(page.getByText('third / production is now at position 2')).toBeAttached()
  await expect.poll(names).toEqual(['first / production', 'third / production', 'second / production'])
  // The focus stays at what was moved, for the next step.
  await expect(page.getByRole('button', { name: 'Move third / production up' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect.poll(names).toEqual(['third / production', 'first / production', 'second / production'])

  await page.getByRole('button', { name: 'More for second / production' }).click()
  await page.getByRole('menuitem', { name: 'Cancel the deployment' }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Cancel the deployment' }).click()
  await expect.poll(names).toEqual(['third / production', 'first / production'])

  gate.open()
  expect(await ended(server, slow)).toBe('active')
  expect(await Promise.all(ids.map((id) => ended(server, id)))).toEqual(['active', 'cancelled', 'active'])
  const began = async (id = '') => {
    const { phases } = await server.json<{ phases: { phase: string; started_at: string }[] }>('deployments', 'show', id)
    return phases.find(({ phase }) => phase !== 'queued')?.started_at ?? ''
  }
  expect((await began(ids[2])) < (await began(ids[0]))).toBe(true)
  await expect(page.getByText('Nothing waits')).toBeVisible()
  quick.remove()
})

// Many tabs on plain HTTP: a browser gives a server six connections, and all tabs follow over one of them. And a tab that nobody sees.
import type { Request } from '@playwright/test'
import { expect, test } from './fixtures'
import { Gate, createApp, ended, order, standing } from './flow'

test('eight tabs are live, and each has the log to its last line', async ({ context, page, server, repo }) => {
  const gate = new Gate(server, 'tabs')
  repo.commit({ version: 'v1', build: `echo the anchor is up; ${gate.wait}; echo the harbour is behind` })
  await createApp(server, 'fleet', repo)
  const id = await order(server, 'fleet')
  const tabs = [page, ...(await Promise.all(Array.from({ length: 7 }, () => context.newPage())))]
  for (const tab of tabs) {
    await tab.goto(`/deployments/${id}`)
    await expect(tab.getByRole('status', { name: 'Connection: Live' })).toBeVisible()
    await expect(tab.getByRole('log').getByText('the anchor is up', { exact: true })).toBeVisible()
  }
  gate.open()
  expect(await ended(server, id)).toBe('active')
  for (const tab of tabs) {
    await expect(tab.getByRole('log').getByText('the harbour is behind', { exact: true })).toHaveCount(1)
    await expect(tab.locator('main header').getByText('Active', { exact: true })).toBeVisible()
  }
  // A tab that goes takes nothing from the others.
  for (const tab of tabs.slice(1, 4)) await tab.close()
  await server.cli('env', 'set', '--app', 'fleet', 'PENNANT=blue')
  const last = tabs.at(-1) ?? page
  await last.goto('/apps/fleet/production')
  await expect(last.getByText('PENNANT')).toBeVisible()
  await server.cli('env', 'set', '--app', 'fleet', 'ENSIGN=red')
  await expect(last.getByText('ENSIGN')).toBeVisible()
})

test('a tab that nobody sees for a minute asks for nothing, and catches up when somebody does', async ({ page, server, repo }) => {
  const gate = new Gate(server, 'unseen')
  repo.commit({ version: 'v1', build: `echo the watch begins; ${gate.wait}; echo the watch is over` })
  await createApp(server, 'unseen', repo)
  const id = await order(server, 'unseen')
  // A test sees what the page itself asks for, not what the worker of all tabs does.
  await page.addInitScript(() => Object.defineProperty(globalThis, 'SharedWorker', { value: undefined }))
  await page.clock.install()
  const streams = new Set<Request>()
  const asked: string[] = []
  page.on('request', (request) => {
    asked.push(request.url())
    if (new URL(request.url()).pathname === '/api/v1/stream') streams.add(request)
  })
  page.on('requestfinished', (request) => streams.delete(request))
  page.on('requestfailed', (request) => streams.delete(request))
  // Chromium without a window hides nothing.
  const turn = (state: DocumentVisibilityState) =>
    page.evaluate((state) => {
      Object.defineProperty(document, 'visibilityState', { value: state, configurable: true })
      document.dispatchEvent(new Event('visibilitychange', { bubbles: true }))
    }, state)

  await page.goto(`/deployments/${id}`)
  const log = page.getByRole('log', { name: 'Output of the deployment' })
  await expect(log.getByText('the watch begins', { exact: true })).toBeVisible()
  await expect(page.getByRole('status', { name: 'Connection: Live' })).toBeVisible()
  await expect.poll(() => streams.size).toBe(1)

  await turn('hidden')
  await page.clock.fastForward(61_000)
  await expect.poll(() => streams.size).toBe(0)
  asked.length = 0
  gate.open()
  expect(await ended(server, id)).toBe('active')
  expect(asked).toEqual([])
  await expect(log.getByText('the watch is over', { exact: true })).toHaveCount(0)

  await turn('visible')
  await expect(log.getByText('the watch is over', { exact: true })).toBeVisible()
  await expect(standing(page, 'Active')).toBeVisible()
  // From where it was left: nothing is there twice.
  await expect(log.getByText('the watch begins', { exact: true })).toHaveCount(1)
  await expect(log.getByText('the watch is over', { exact: true })).toHaveCount(1)
  const numbers = (await log.locator('a').allInnerTexts()).map(Number)
  expect(numbers).toEqual(numbers.map((_, index) => (numbers[0] ?? 0) + index))
  // And what happens from now on is told again.
  await expect.poll(() => streams.size).toBe(1)
  await page.goto('/apps/unseen/production')
  await server.cli('env', 'set', '--app', 'unseen', 'LANTERN=lit')
  await expect(page.getByText('LANTERN')).toBeVisible()
})

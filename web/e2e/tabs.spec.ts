// Many tabs on plain HTTP: a browser gives a server six connections, and all tabs follow over one of them.
import { expect, test } from './fixtures'
import { Gate, createApp, ended, order } from './flow'

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

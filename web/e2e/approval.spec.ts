// One orders, another approves: never the same, and nothing runs before.
import type { Browser } from '@playwright/test'
import { complaints, expect, signedOut, test } from './fixtures'
import { accepted, createApp, deployByPage, deployed, ended, standing } from './flow'
import type { Server } from './harness'

// A request that is refused is said on the console.
test.use({ expected: [/status of 403/] })

const zoe = { name: 'Zoe Lind', email: 'zoe.lind@example.org', password: 'Anchor below the western quay 9' }

/** Somebody else, in a browser of their own, with this role at the app. */
async function somebody(browser: Browser, server: Server, app: string, role: string) {
  const context = await browser.newContext({ storageState: signedOut, baseURL: server.url })
  const page = await context.newPage()
  await accepted(page, server, zoe, '--app', app, '--role', role)
  return { context, page }
}

test('a deployment waits for a second person, who sees just what will run', async ({ page, server, repo, browser }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'lock', repo)
  await deployed(server, 'lock')

  await page.goto('/apps/lock/production')
  const card = page.getByRole('region', { name: 'Approval' })
  await expect(card).toContainText('without anybody else’s approval')
  await card.getByRole('button', { name: 'Ask for approval' }).click()
  const policy = page.getByRole('dialog', { name: 'Approval for lock / production' })
  await policy.getByRole('button', { name: 'Ask from now on' }).click()
  await expect(card).toContainText('one person, admin or more of lock')

  const sha = repo.commit({ version: 'v2' })
  await deployByPage(page, 'lock')
  const id = new URL(page.url()).pathname.split('/').at(-1) ?? ''
  await expect(standing(page, 'Queued')).toBeVisible()
  const mine = page.getByRole('region', { name: /^Deploy to lock \/ production/ })
  await expect(mine).toContainText('Waits for approval')
  // One's own vote never counts: the button says so, and so does the server.
  await expect(mine.getByRole('button', { name: 'Approve' })).toHaveAttribute('aria-disabled', 'true')
  const refused = await page.evaluate(async () => {
    const { items } = (await (await fetch('/api/v1/approvals')).json()) as { items: { id: string; app: string; subject: string }[] }
    const asked = items.find(({ app }) => app === 'lock')
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ subject: asked?.subject, verdict: 'approve' }) }
    return (await fetch(`/api/v1/approvals/${asked?.id}/votes`, init)).status
  })
  expect(refused).toBe(403)
  expect(await server.visit('lock')).toBe('v1')

  // What comes to the branch meanwhile is not what was asked about.
  repo.commit({ version: 'v3' })
  const other = await somebody(browser, server, 'lock', 'admin')
  const said = complaints(other.page)
  await other.page.goto('/approvals')
  const question = other.page.getByRole('region', { name: /^Deploy to lock \/ production/ })
  await expect(question).toContainText('Version v2')
  await question.getByRole('button', { name: 'Approve' }).click()
  const vote = other.page.getByRole('dialog', { name: 'Approve of this?' })
  await expect(vote).toContainText(sha)
  await vote.getByLabel('Comment').fill('seen on staging')
  await vote.getByRole('button', { name: 'Approve', exact: true }).click()
  await expect(vote).toBeHidden()
  expect(said).toEqual([])

  // The page of who ordered it goes on by itself.
  await expect(standing(page, 'Active')).toBeVisible({ timeout: 90_000 })
  await expect(page.getByRole('list', { name: 'Votes' })).toContainText(`${zoe.name} approved`)
  await expect(page.getByRole('list', { name: 'Votes' })).toContainText('seen on staging')
  expect(await ended(server, id)).toBe('active')
  expect(await server.visit('lock')).toBe('v2')

  // One who refuses ends it.
  await deployByPage(page, 'lock')
  const next = new URL(page.url()).pathname.split('/').at(-1) ?? ''
  await other.page.goto(`/deployments/${next}`)
  await other.page.getByRole('button', { name: 'Refuse' }).click()
  const no = other.page.getByRole('dialog', { name: 'Refuse this?' })
  await expect(no).toContainText('cancelled before it began')
  await no.getByRole('button', { name: 'Refuse', exact: true }).click()
  await expect(standing(page, 'Cancelled')).toBeVisible()
  expect(await server.visit('lock')).toBe('v2')
  await other.context.close()
})

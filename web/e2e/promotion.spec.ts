// What staging serves goes to production: the comparison is there before anything happens.
import { expect, test } from './fixtures'
import { createApp, deployed, standing } from './flow'

test('a promotion shows what changes first, and brings the very same release', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'ferry', repo)
  await deployed(server, 'ferry')
  repo.commit({ version: 'v2' })
  await server.cli('envs', 'create', 'staging', '--app', 'ferry')
  await deployed(server, 'ferry', '--env', 'staging')
  expect(await server.visit('ferry')).toBe('v1')

  await page.goto('/apps/ferry/staging')
  await page.getByRole('button', { name: 'Promote', exact: true }).click()
  const dialog = page.getByRole('dialog', { name: 'Promote ferry from staging' })
  await expect(dialog.getByLabel('To', { exact: true })).toHaveValue('production')
  const change = dialog.getByRole('region', { name: 'What changes' })
  await expect(change).toContainText('Version v2')
  await expect(change).toContainText('Version v1')
  await expect(change).toContainText('1 commit comes')
  // The answer that changes nothing has the focus, and is taken first.
  await expect(dialog.getByRole('button', { name: 'Keep production as it is' })).toBeFocused()
  await page.keyboard.press('Enter')
  await expect(dialog).toBeHidden()
  expect(await server.visit('ferry')).toBe('v1')

  await page.getByRole('button', { name: 'Promote', exact: true }).click()
  await dialog.getByRole('button', { name: /^Promote v\d+ to production$/ }).click()
  await expect(page).toHaveURL(/\/deployments\/dep_/)
  await expect(standing(page, 'Active')).toBeVisible()
  expect(await server.visit('ferry')).toBe('v2')

  // The same again is blocked, and says why and what would be needed.
  await page.goto('/apps/ferry/staging')
  await page.getByRole('button', { name: 'Promote', exact: true }).click()
  const again = dialog.getByRole('button', { name: /^Promote v\d+ to production$/ })
  await expect(dialog.getByLabel('Promote all the same, because')).toBeVisible()
  await expect(again).toHaveAccessibleDescription('Say above why it is right all the same')
})

test('what blocks a promotion is forced with a reason, which stays on record', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'barge', repo)
  await deployed(server, 'barge')
  await server.cli('envs', 'create', 'staging', '--app', 'barge')
  await server.cli('env', 'set', '--app', 'barge', '--env', 'staging', 'CARGO=coal')
  repo.commit({ version: 'v2' })
  await deployed(server, 'barge', '--env', 'staging')

  await page.goto('/apps/barge')
  await page.getByRole('region', { name: 'staging' }).getByRole('button', { name: 'Promote barge / staging' }).click()
  const dialog = page.getByRole('dialog', { name: 'Promote barge from staging' })
  await expect(dialog.getByRole('region', { name: 'What changes' })).toContainText('CARGO is only in staging')
  await dialog.getByLabel('Promote all the same, because').fill('production has no cargo')
  await dialog.getByRole('button', { name: /^Promote v\d+ to production$/ }).click()
  await expect(page).toHaveURL(/\/deployments\/dep_/)
  await expect(standing(page, 'Active')).toBeVisible()
  const id = new URL(page.url()).pathname.split('/').at(-1) ?? ''
  const { metadata } = await server.json<{ metadata: { promotion: { forced: string } } }>('deployments', 'show', id)
  expect(metadata.promotion.forced).toBe('production has no cargo')
})

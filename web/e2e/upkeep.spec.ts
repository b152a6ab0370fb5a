// Looking after a server: how long things stay, when something is stalled, certificates, the process in front of the apps.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from './fixtures'
import { createApp, deployed } from './flow'

test('what is kept and what is stalled is set for all, and for one app', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'quay', repo)
  await page.goto('/settings')
  const kept = page.getByRole('region', { name: 'How long things are kept' })
  await expect(kept).toContainText('14 days')
  await kept.getByRole('button', { name: 'Change how long things are kept' }).click()
  const dialog = page.getByRole('dialog', { name: 'How long things are kept' })
  await dialog.getByLabel('Releases whose files stay').fill('5')
  await dialog.getByLabel('What deployments printed').selectOption('30 days')
  await dialog.getByRole('button', { name: 'Change', exact: true }).click()
  await expect(kept).toContainText('last 5 releases')
  await expect(kept).toContainText('30 days')
  // What was left as it was is set by nobody.
  expect(await server.json('retention', 'show')).toMatchObject({ set: { releases: 5, outputs: '30d' }, keep: { events: '90d' } })

  await kept.getByRole('button', { name: 'What is old enough' }).click()
  const sweep = page.getByRole('dialog', { name: 'What is old enough to go' })
  await expect(sweep.getByText('of 0 releases, 0 B')).toBeVisible()
  await expect(sweep.getByRole('button', { name: 'Remove it now' })).toHaveAccessibleDescription('Nothing is old enough')
  await sweep.getByRole('button', { name: 'Leave it to the server' }).click()

  const stalled = page.getByRole('region', { name: 'When a deployment is stalled' })
  await stalled.getByRole('button', { name: 'Change when a deployment is stalled' }).click()
  const limits = page.getByRole('dialog', { name: 'When a deployment is stalled' })
  await limits.getByLabel('No step and no line for').selectOption('10 minutes')
  await limits.getByText('Single phases').click()
  await limits.getByLabel('Building').selectOption('30 minutes')
  await limits.getByRole('button', { name: 'Change', exact: true }).click()
  await expect(stalled).toContainText('Buildingfor 30 minutes')
  expect(await server.json('stalls', 'show')).toMatchObject({ own: true, policy: { silence: '10m', phases: { building: '30m' } } })

  // The app has what the server has, until it has its own.
  await page.goto('/apps/quay/settings')
  await expect(stalled).toContainText('As the server has it.')
  await kept.getByRole('button', { name: 'Change how long things are kept' }).click()
  const own = page.getByRole('dialog', { name: 'How long things of quay are kept' })
  await own.getByLabel('Records of deployments').selectOption('for ever')
  await own.getByRole('button', { name: 'Change', exact: true }).click()
  await expect(kept).toContainText('quay has settings of its own')
  await expect(kept).toContainText('last 5 releases')
  await page.goto('/settings')
  await expect(kept.getByRole('link', { name: 'quay' })).toBeVisible()
  await kept.getByRole('button', { name: /^Forget it/ }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Forget it' }).click()
  await expect(kept).toContainText('last 10 releases')
})

test.describe('certificates', () => {
  test.use({ expected: [/status of 422/] })
  test('come with their keys, which nobody sees again, and go', async ({ page, server }) => {
    const [certificate, key] = ['web.pem', 'web.key'].map((name) => join(server.root, name)) as [string, string]
    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '90', '-subj', '/CN=shop.example.org', '-addext', 'subjectAltName=DNS:shop.example.org', '-keyout', key, '-out', certificate], { stdio: 'pipe' })
    await page.goto('/settings')
    const part = page.getByRole('region', { name: 'Certificates' })
    await part.getByRole('button', { name: 'Add a certificate' }).click()
    const dialog = page.getByRole('dialog', { name: 'Add a certificate' })
    await dialog.getByLabel('Certificate', { exact: true }).fill('nonsense')
    await dialog.getByRole('button', { name: 'Add', exact: true }).click()
    await expect(dialog.getByRole('alert').first()).toContainText('PEM')
    await dialog.getByLabel('Certificate', { exact: true }).fill(readFileSync(certificate, 'utf8'))
    await dialog.getByLabel('Key from a file').setInputFiles(key)
    await expect(dialog.getByLabel('Key', { exact: true })).toHaveValue(/PRIVATE KEY/)
    await dialog.getByRole('button', { name: 'Add', exact: true }).click()
    await expect(dialog).toBeHidden()
    const row = part.getByRole('row').filter({ hasText: 'shop.example.org' })
    await expect(row).toBeVisible()
    expect(await page.content()).not.toContain('PRIVATE KEY')
    await row.getByRole('button', { name: 'Remove the certificate of shop.example.org' }).click()
    const question = page.getByRole('dialog', { name: 'Remove the certificate of shop.example.org?' })
    await question.getByLabel(/^Type /).fill('shop.example.org')
    await question.getByRole('button', { name: 'Remove', exact: true }).click()
    await expect(part).toContainText('No certificate')
  })
})

test('the ingress is restarted while an app answers', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'sluice', repo)
  await deployed(server, 'sluice')
  await page.goto('/settings')
  const enough = new AbortController()
  const answers = (async () => {
    const all = new Set<string>()
    while (!enough.signal.aborted) all.add(await server.visit('sluice'))
    return all
  })()
  await page.getByRole('button', { name: 'Restart the ingress' }).click()
  await page.getByRole('dialog', { name: 'Restart the ingress?' }).getByRole('button', { name: 'Restart it' }).click()
  await expect(page.getByText('The ingress is a new process.')).toBeVisible()
  enough.abort()
  expect([...(await answers)]).toEqual(['v1'])
})

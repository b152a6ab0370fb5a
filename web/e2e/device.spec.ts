// A program without a browser: it shows a code, its person types it, and it acts for them.
import { execFile, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from './fixtures'
import { binary } from './harness'
import { until } from './until'

test('plimsoll login is let in by its person, and gives its token back', async ({ page, server }) => {
  const home = mkdtempSync(join(tmpdir(), 'plimsoll-login-'))
  const env = { PATH: process.env.PATH ?? '', HOME: home, NO_COLOR: '1' }
  const login = spawn(binary(), ['login', server.url, '--name', 'laptop of Ada'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  try {
    let said = ''
    login.stdout.on('data', (part: Buffer) => (said += part.toString()))
    const link = /http:\/\/\S+\/device\?code=(\S+)/
    await until('it shows a link', 60_000, () => link.test(said))
    const [address, code] = link.exec(said) as unknown as [string, string]

    // Typed by hand, in small letters.
    await page.goto('/device')
    await page.getByLabel('Code', { exact: true }).fill('wdjb')
    await page.getByRole('button', { name: 'Go on' }).click()
    await expect(page.getByRole('alert')).toContainText('Eight letters')
    await page.getByLabel('Code', { exact: true }).fill(code.replace('-', '').toLowerCase())
    await page.getByRole('button', { name: 'Go on' }).click()
    await expect(page.getByRole('heading', { name: 'laptop of Ada' })).toBeVisible()
    await expect(page.getByText('127.0.0.1')).toBeVisible()

    await page.goto(address)
    await page.getByRole('button', { name: 'Let it in' }).click()
    await expect(page.getByText('laptop of Ada may act for you')).toBeVisible()
    await until('it ends', 60_000, () => login.exitCode !== null)
    expect(login.exitCode, said).toBe(0)

    const file = join(home, '.config/plimsoll/credentials.toml')
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readFileSync(file, 'utf8')).toContain(server.url)
    const run = async (...args: string[]) => (await promisify(execFile)(binary(), args, { env })).stdout
    expect(await run('--server', server.url, 'me')).toContain('Ada Lovelace')
    await page.getByRole('link', { name: 'Your tokens' }).click()
    await expect(page.getByRole('table', { name: 'Tokens: Yours' })).toContainText('laptop of Ada')
    expect(await run('logout')).toContain('logged out')
    await page.reload()
    await expect(page.getByRole('table', { name: 'Tokens: Yours' }).getByRole('row').filter({ hasText: 'laptop of Ada' })).toHaveCount(0)
  } finally {
    login.kill('SIGKILL')
    rmSync(home, { recursive: true, force: true })
  }
})

test.describe('without a program', () => {
  test.use({ expected: [/status of 404/] })
  test('a code of nobody says so', async ({ page }) => {
    await page.goto('/device?code=BBBB-BBBB')
    await expect(page.getByRole('alert')).toContainText('No program waits with the code BBBB-BBBB')
  })
})

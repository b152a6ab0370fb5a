// What every spec starts from: a server, its first owner signed in, and a page that may not complain.
import { type Browser, type BrowserContext, type Page, test as base, expect } from '@playwright/test'
import { Server } from './harness'
import { Repo } from './repo'

export { expect }

export interface WorkerOptions {
  /** More arguments of the server. Files with other ones are run by workers of their own; each worker has one server. */
  serverArgs: string[]
}

export interface Person {
  name: string
  email: string
  password: string
}

/** In milliseconds. For ten minutes after somebody has proved who they are, grave things are not asked about; some tests take five. */
const PROVED = 4 * 60_000

export interface Owner extends Person {
  /** When it was proved last, by the clock. */
  proved: number
  state: Awaited<ReturnType<BrowserContext['storageState']>>
}

interface WorkerFixtures extends WorkerOptions {
  server: Server
  /** Who has set the server up. */
  owner: Owner
}

interface Fixtures {
  /** What a page may say on its console: a refused request is said there, too. */
  expected: RegExp[]
  /** A server that nobody has set up. */
  untouched: Server
  repo: Repo
  quiet: void
}

export const person: Person = { name: 'Ada Lovelace', email: 'ada@example.org', password: 'Kestrel over the quiet harbour 7' }

export const test = base.extend<Fixtures, WorkerFixtures>({
  serverArgs: [[], { scope: 'worker', option: true }],

  server: [
    async ({ serverArgs }, use) => {
      const server = await Server.start(serverArgs)
      await use(server)
      await server.stop()
    },
    // For its start and its end together: an end for which no time is left is not even begun.
    { scope: 'worker', timeout: 400_000 },
  ],

  owner: [
    async ({ server, browser }, use) => {
      const context = await browser.newContext()
      const page = await context.newPage()
      await becomeOwner(page, server)
      const state = await context.storageState()
      await context.close()
      await use({ ...person, state, proved: Date.now() })
    },
    { scope: 'worker', timeout: 240_000 },
  ],

  baseURL: async ({ server }, use) => use(server.url),
  storageState: async ({ owner, server, browser }, use) => {
    if (Date.now() - owner.proved > PROVED) await proveAgain(owner, server, browser)
    await use(owner.state)
  },

  untouched: [
    // oxlint-disable-next-line no-empty-pattern
    async ({}, use) => {
      const server = await Server.start()
      await use(server)
      await server.stop()
    },
    { timeout: 400_000 },
  ],

  // oxlint-disable-next-line no-empty-pattern
  repo: async ({}, use) => {
    const repo = new Repo()
    await use(repo)
    repo.remove()
  },

  expected: [[], { option: true }],
  quiet: [
    async ({ page, expected }, use) => {
      const said = complaints(page)
      await use()
      const unexpected = said.filter((line) => !expected.some((pattern) => pattern.test(line)))
      expect(unexpected, 'the console of the page').toEqual([])
    },
    { auto: true },
  ],
})

/** What the page's console complains of, reports of the content security policy included. */
export function complaints(page: Page): string[] {
  const said: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') said.push(message.text())
  })
  page.on('pageerror', (error) => said.push(`${error.name}: ${error.message}`))
  return said
}

/** The first run: the link that the server printed makes somebody its owner. */
export async function becomeOwner(page: Page, server: Server): Promise<void> {
  await page.goto(server.setupLink)
  await page.getByLabel('Name').fill(person.name)
  await page.getByLabel('E-mail').fill(person.email)
  await page.getByLabel('Password').fill(person.password)
  await page.getByRole('button', { name: 'Become the owner' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()
}

/** As the page does when it is asked to. The session goes on under another cookie. */
async function proveAgain(owner: Owner, server: Server, browser: Browser): Promise<void> {
  const context = await browser.newContext({ baseURL: server.url, storageState: owner.state })
  const page = await context.newPage()
  await page.goto('/sign-in')
  const status = await page.evaluate(async (password) => {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch('/api/v1/auth/confirm', { method: 'POST', headers, body: JSON.stringify({ password }) })
    return answer.status
  }, owner.password)
  expect(status, 'the owner proves who they are').toBe(204)
  owner.state = await context.storageState()
  owner.proved = Date.now()
  await context.close()
}

export async function signIn(page: Page, { email, password }: { email: string; password: string }): Promise<void> {
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

/** The next that happens is of nobody. */
export const signedOut = { cookies: [], origins: [] }

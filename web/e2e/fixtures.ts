// What every spec starts from: a server, its first owner signed in, and a page that may not complain.
import { type BrowserContext, type Page, test as base, expect } from '@playwright/test'
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

export interface Owner extends Person {
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
    { scope: 'worker', timeout: 90_000 },
  ],

  owner: [
    async ({ server, browser }, use) => {
      const context = await browser.newContext()
      const page = await context.newPage()
      await becomeOwner(page, server)
      const state = await context.storageState()
      await context.close()
      await use({ ...person, state })
    },
    { scope: 'worker', timeout: 90_000 },
  ],

  baseURL: async ({ server }, use) => use(server.url),
  storageState: async ({ owner }, use) => use(owner.state),

  // oxlint-disable-next-line no-empty-pattern
  untouched: async ({}, use) => {
    const server = await Server.start()
    await use(server)
    await server.stop()
  },

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

export async function signIn(page: Page, { email, password }: { email: string; password: string }): Promise<void> {
  await page.getByLabel('E-mail').fill(email)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

/** The next that happens is of nobody. */
export const signedOut = { cookies: [], origins: [] }

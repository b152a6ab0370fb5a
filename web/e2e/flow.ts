// Steps that several specs take.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Page, expect } from '@playwright/test'
import type { Person } from './fixtures'
import type { Server } from './harness'
import type { Repo } from './repo'
import { until } from './until'

/** A file that a build waits for: it goes on when the test says so. */
export class Gate {
  readonly #file: string

  constructor(server: Server, name: string) {
    this.#file = join(server.shared, `${name}.open`)
  }

  /** The command that waits for it; it gives up after five minutes, so that nothing is left of a test that failed. */
  get wait(): string {
    return `for i in $(seq 3000); do [ -e ${this.#file} ] && break; sleep 0.1; done; [ -e ${this.#file} ]`
  }

  open(): void {
    if (!existsSync(this.#file)) writeFileSync(this.#file, '')
  }
}

/** Somebody comes in by an invitation; `more` says as what, and where. */
export async function accepted(page: Page, server: Server, { name, email, password }: Person, ...more: string[]): Promise<void> {
  const { secret } = await server.json<{ secret: string }>('users', 'invite', email, ...more)
  await page.goto(`/invitation#${secret}`)
  await page.getByLabel('Name').fill(name)
  await page.getByLabel('Password').fill(password)
  await page.getByRole('button', { name: 'Accept and sign in' }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Overview' })).toBeVisible()
}

export async function signOut(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: `Account of ${name}` }).click()
  await page.getByRole('menuitem', { name: 'Sign out' }).click()
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()
}

/** An app of the repository, made without a page. */
export async function createApp(server: Server, app: string, repo: Repo): Promise<void> {
  await server.cli('apps', 'create', app, '--source', repo.path)
}

/** Orders a deployment without a page; its id. */
export async function order(server: Server, app: string, ...more: string[]): Promise<string> {
  const { id } = await server.json<{ id: string }>('deploy', app, '--detach', ...more)
  return id
}

/** Waits for its end; the phase in which it ended. */
export async function ended(server: Server, id: string): Promise<string> {
  let phase = ''
  await until(`${id} ends`, 120_000, async () => {
    ;({ phase } = await server.json<{ phase: string }>('deployments', 'show', id))
    return ['active', 'failed', 'cancelled', 'rolled_back'].includes(phase)
  })
  return phase
}

/** Deploys without a page, and sees to it that it succeeds. */
export async function deployed(server: Server, app: string, ...more: string[]): Promise<string> {
  const id = await order(server, app, ...more)
  expect(await ended(server, id)).toBe('active')
  return id
}

/** Waits until something was to be told by a channel, and did not arrive. */
export async function undelivered(server: Server, channel: string): Promise<void> {
  await until(`${channel} tells nobody`, 90_000, async () => {
    const { items } = await server.json<{ items: { error?: string }[] }>('channels', 'deliveries', channel)
    return items.some(({ error }) => error !== undefined)
  })
}

/** Deploys with the page of the environment, and ends on the deployment's. */
export async function deployByPage(page: Page, app: string, environment = 'production'): Promise<void> {
  await page.goto(`/apps/${app}/${environment}`)
  await page.getByRole('button', { name: 'Deploy', exact: true }).click()
  await page.getByRole('dialog').getByRole('button', { name: 'Deploy', exact: true }).click()
  await expect(page).toHaveURL(/\/deployments\/dep_/)
}

/** What the page says of a deployment: beside its title, so of no other one. */
export const standing = (page: Page, word: string) => page.locator('main header').getByText(word, { exact: true })

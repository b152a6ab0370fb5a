// Somebody else's word for who people are: a provider of OpenID Connect on loopback, and its pages.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Page } from '@playwright/test'

export interface Registered {
  client: string
  secret: string
  /** Where it sends people back to. */
  redirect: string
  /** By the name that they have there. */
  people: Record<string, { email: string; name: string }>
}

export class Provider {
  private constructor(
    readonly issuer: string,
    readonly child: ChildProcess,
  ) {}

  static async start(registered: Registered): Promise<Provider> {
    const file = fileURLToPath(new URL('./provider.mjs', import.meta.url))
    const child = spawn(process.execPath, [file, JSON.stringify(registered)], { stdio: ['ignore', 'pipe', 'inherit'] })
    const issuer = await new Promise<string>((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`the provider ended with ${code}`)))
      createInterface(child.stdout).once('line', resolve)
    })
    return new Provider(issuer, child)
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return
    const ended = new Promise((resolve) => this.child.once('exit', resolve))
    this.child.kill()
    await ended
  }

  /** On its pages: says who one is, and that the server may know. */
  async letIn(page: Page, name: string): Promise<void> {
    await page.waitForURL((url) => url.origin === this.issuer)
    await page.getByPlaceholder('Enter any login').fill(name)
    await page.getByPlaceholder('and password').fill('whatever')
    await page.getByRole('button', { name: 'Sign-in' }).click()
    await page.getByRole('button', { name: 'Continue' }).click()
  }
}

// Who guesses is locked out, from where they guess, and nobody else is.
import { request } from 'node:http'
import { becomeOwner, expect, person, signIn, signedOut, test } from './fixtures'
import type { Server } from './harness'

test.use({ storageState: signedOut, expected: [/status of (401|429)/] })

test('after five wrong passwords the right one is refused, but not from elsewhere', async ({ page, untouched, browser }) => {
  const setup = await browser.newContext({ storageState: signedOut })
  await becomeOwner(await setup.newPage(), untouched)
  await setup.close()

  await page.goto(`${untouched.url}/sign-in`)
  for (let attempt = 1; attempt <= 5; attempt += 1) {
    const answered = page.waitForResponse((response) => response.url().endsWith('/api/v1/auth/sign-in'))
    await signIn(page, { ...person, password: `Not the password ${attempt}` })
    await answered
  }
  await signIn(page, person)
  await expect(page.getByRole('alert')).toContainText(/too many/i)
  await expect(page.getByRole('alert')).toContainText(/minute/i)
  await page.goto(untouched.url)
  await expect(page.getByRole('heading', { name: 'Sign in' })).toBeVisible()

  expect(await signInFrom('127.0.0.1', untouched)).toBe(429)
  expect(await signInFrom('127.0.0.2', untouched)).toBe(200)
})

/** The status of the answer to somebody who calls from this address: a browser can't choose its own. */
function signInFrom(localAddress: string, server: Server): Promise<number | undefined> {
  const { email, password } = person
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port: server.port,
        localAddress,
        path: '/api/v1/auth/sign-in',
        method: 'POST',
        headers: { 'content-type': 'application/json', origin: server.url },
      },
      (response) => {
        response.resume()
        response.on('end', () => resolve(response.statusCode))
      },
    )
    asked.on('error', reject)
    asked.end(JSON.stringify({ email, password }))
  })
}

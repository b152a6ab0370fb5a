// In by somebody else's word: a provider is set up, people come by it, and it goes again.
import { expect, signedOut, test } from './fixtures'
import { accepted } from './flow'
import { Provider } from './provider'

const SECRET = 'what-this-server-proves-itself-with-there'
const mara = { name: 'Mara Lund', email: 'mara.lund@example.org', password: 'Ballast under the southern crane 6' }
const nora = { email: 'nora.berg@example.org', name: 'Nora Berg' }

// Who was not let in is told so by a status, too; and the provider's pages are its own.
test.use({ storageState: signedOut, serverArgs: ['--allow-outgoing', '127.0.0.0/8'], expected: [/status of 4(0[0134]|22)/] })

// Nobody signs in by password where there is no owner.
test.beforeAll(({ owner }) => expect(owner.state.cookies).not.toEqual([]))

test('a provider is set up, lets in who was invited, is asked again before something grave, and is removed', async ({ page, server, browser }) => {
  test.setTimeout(400_000)
  const provider = await Provider.start({
    client: 'plimsoll',
    secret: SECRET,
    redirect: `${server.url}/auth/oidc/callback`,
    people: { nora, mallory: { email: 'mallory@example.org', name: 'Mallory' } },
  })
  const visitor = async () => {
    const context = await browser.newContext({ storageState: signedOut, baseURL: server.url })
    return context.newPage()
  }
  try {
    await accepted(page, server, mara, '--role', 'owner')
    await page.goto('/settings')
    await page.getByRole('link', { name: /^Sign-in/ }).click()
    await expect(page.getByRole('heading', { level: 1, name: 'Sign-in' })).toBeVisible()
    await expect(page.getByLabel('Address to send people back to', { exact: true })).toHaveText(`${server.url}/auth/oidc/callback`)
    await page.getByRole('button', { name: 'Set up a provider' }).click()
    const dialog = page.getByRole('dialog', { name: 'Set up a provider' })
    await dialog.getByRole('button', { name: 'Set it up' }).click()
    await expect(dialog.getByLabel('Client secret')).toHaveAccessibleDescription(/What the provider gave/)
    await dialog.getByLabel('Name').fill('Example Inc.')
    await dialog.getByLabel('Client id').fill('plimsoll')
    await dialog.getByLabel('Client secret').fill(SECRET)
    // What the server learns when it asks there stands at the field.
    await dialog.getByLabel('Address', { exact: true }).fill(`${provider.issuer}/elsewhere`)
    await dialog.getByRole('button', { name: 'Set it up' }).click()
    await expect(dialog.getByLabel('Address', { exact: true })).toHaveAttribute('aria-invalid', 'true')
    await expect(dialog.getByRole('alert')).toContainText('provider')
    await dialog.getByLabel('Address', { exact: true }).fill(provider.issuer)
    await dialog.getByRole('button', { name: 'Set it up' }).click()
    await expect(dialog).toBeHidden()
    const card = page.getByRole('region', { name: 'Provider', exact: true })
    await expect(card).toContainText('Sign in with Example Inc.')
    await page.reload()
    await expect(card).toContainText('Set: it is sealed')
    // What is set stays when nothing else is given.
    await card.getByRole('button', { name: 'Change' }).click()
    const change = page.getByRole('dialog', { name: 'Change the provider' })
    await expect(change.getByLabel('Client secret')).toHaveValue('')
    await change.getByLabel('Name').fill('Harbour Office')
    await change.getByRole('button', { name: 'Change', exact: true }).click()
    await expect(card).toContainText('Sign in with Harbour Office')
    expect(await page.content()).not.toContain(SECRET)

    // Whom nobody has invited stays outside, whatever the provider says.
    const mallory = await visitor()
    await mallory.goto('/')
    await mallory.getByRole('button', { name: 'Sign in with Harbour Office' }).click()
    await provider.letIn(mallory, 'mallory')
    await expect(mallory.getByRole('alert')).toContainText('Nobody here knows you by that account')
    await mallory.context().close()

    await server.cli('users', 'invite', nora.email, '--role', 'deployer')
    const invited = await visitor()
    await invited.goto('/queue')
    await invited.getByRole('button', { name: 'Sign in with Harbour Office' }).click()
    await provider.letIn(invited, 'nora')
    await expect(invited.getByRole('heading', { level: 1, name: 'Queue' })).toBeVisible()
    await invited.goto('/settings/account')
    await expect(invited.getByRole('region', { name: 'You' })).toContainText(nora.name)
    await expect(invited.getByRole('region', { name: 'You' })).toContainText(nora.email)

    // She has no password to confirm with: she comes in anew, and is asked nothing then.
    await server.later(nora.email)
    const second = invited.getByRole('region', { name: 'Second factor' })
    await second.getByRole('button', { name: 'Set up' }).click()
    await invited.getByRole('dialog', { name: 'Confirm that it is you' }).getByRole('button', { name: 'Sign in with Harbour Office anew' }).click()
    await expect(invited.getByRole('dialog')).toHaveCount(0)
    await expect(invited).toHaveURL(`${server.url}/settings/account`)
    await second.getByRole('button', { name: 'Set up' }).click()
    await expect(second.getByRole('img', { name: 'The key as a QR code' })).toBeVisible()
    await invited.context().close()

    await server.later(mara.email)
    await card.getByRole('button', { name: 'Remove' }).click()
    await page.getByRole('dialog').getByRole('button', { name: 'Remove the provider' }).click()
    const identity = page.getByRole('dialog', { name: 'Confirm that it is you' })
    await identity.getByLabel('Password').fill(mara.password)
    await identity.getByRole('button', { name: 'Confirm' }).click()
    await expect(card).toContainText('People sign in by password alone')
    const late = await visitor()
    await late.goto('/')
    await expect(late.getByRole('button', { name: 'Sign in', exact: true })).toBeVisible()
    await expect(late.getByRole('button', { name: 'Sign in with Harbour Office' })).toHaveCount(0)
    await late.context().close()
  } finally {
    await provider.stop()
  }
})

// What is set for the whole server: the mail server, named, tried, changed and forgotten; and who may.
import { type AddressInfo, createServer } from 'node:net'
import { expect, signedOut, test } from './fixtures'
import { accepted } from './flow'

// Their own: to confirm gives the session another cookie, and that of the worker's owner is everybody's.
const mara = { name: 'Mara Holm', email: 'mara.holm@example.org', password: 'Ballast under the southern crane 6' }
const sofia = { name: 'Sofia Lind', email: 'sofia.lind@example.org', password: 'Lantern under the eastern pier 4' }
const PASSWORD = 'not-for-any-eyes-but-the-mail-server'

test.use({ storageState: signedOut, serverArgs: ['--allow-outgoing', '127.0.0.0/8'], expected: [/status of 4(0[13]|22)/] })

// Nobody signs in by password where there is no owner.
test.beforeAll(({ owner }) => expect(owner.state.cookies).not.toEqual([]))

test('a mail server is named, mail arrives, and its password is never shown', async ({ page, server, browser }) => {
  const { port, mails, stop } = await mailServer()
  await accepted(page, server, mara, '--role', 'owner')
  await page.goto('/settings')
  await page.getByRole('link', { name: /^Mail/ }).click()
  await expect(page.getByRole('heading', { level: 1, name: 'Mail' })).toBeVisible()
  const card = page.getByRole('region', { name: 'Mail server' })
  await card.getByRole('button', { name: 'Name a mail server' }).click()
  const dialog = page.getByRole('dialog', { name: 'Name a mail server' })
  await dialog.getByRole('button', { name: 'Name it' }).click()
  await expect(dialog.getByLabel('Host')).toHaveAccessibleDescription(/such as mail.example.org/)
  await expect(dialog.getByLabel('Port')).toHaveValue('465')
  await dialog.getByLabel('Encryption').selectOption('STARTTLS, never left out')
  await expect(dialog.getByLabel('Port')).toHaveValue('587')
  await dialog.getByLabel('Encryption').selectOption('None')
  await dialog.getByLabel('Host').fill('127.0.0.1')
  await dialog.getByLabel('Port').fill(String(port))
  // What only the server knows to be wrong.
  await dialog.getByLabel('From').fill('deploy@box of letters')
  await dialog.getByRole('button', { name: 'Name it' }).click()
  await expect(dialog.getByRole('alert')).toBeVisible()
  await dialog.getByLabel('From').fill('Plimsoll <plimsoll@example.org>')

  // A while after she came in she is asked for the password, and what was typed is still there.
  await server.later(mara.email)
  await dialog.getByRole('button', { name: 'Name it' }).click()
  const identity = page.getByRole('dialog', { name: 'Confirm that it is you' })
  await expect(identity.getByLabel('Password')).toBeFocused()
  await identity.getByLabel('Password').fill('not my password')
  await identity.getByRole('button', { name: 'Confirm' }).click()
  await expect(identity.getByRole('alert')).toHaveText('That is not your password.')
  await expect(identity.getByLabel('Password')).toBeFocused()
  await identity.getByLabel('Password').fill(mara.password)
  await identity.getByRole('button', { name: 'Confirm' }).click()
  await expect(dialog).toBeHidden()
  await expect(card).toContainText(`127.0.0.1, port ${port}`)
  await expect(card).toContainText('Not set')

  // Tried where it goes.
  const tests = page.getByRole('region', { name: 'Does it arrive?' })
  await expect(tests).toContainText('No channel sends mail')
  await server.cli('channels', 'create', 'mail', 'crew', '--to', 'ann@example.org')
  await page.reload()
  await tests.getByRole('button', { name: 'Test crew' }).click()
  await expect(page.getByText('The test arrived at crew')).toBeVisible()
  expect(mails).toHaveLength(1)
  expect(mails[0]).toContain('From: Plimsoll <plimsoll@example.org>')
  expect(mails[0]).toContain('To: ann@example.org')

  await card.getByRole('button', { name: 'Change' }).click()
  const change = page.getByRole('dialog', { name: 'Change the mail server' })
  await change.getByLabel('User').fill('deploy')
  await change.getByRole('button', { name: 'Change', exact: true }).click()
  await expect(change.getByLabel('Encryption')).toHaveAccessibleDescription(/not sent without encryption/)
  await expect(change.getByLabel('Password')).toHaveAccessibleDescription(/The password of that user/)
  await change.getByLabel('Encryption').selectOption('TLS from the first byte')
  await change.getByLabel('Password').fill(PASSWORD)
  await change.getByRole('button', { name: 'Change', exact: true }).click()
  await expect(card).toContainText('as deploy')
  await expect(card).toContainText('Set: it is sealed')
  await page.reload()
  await expect(card).toContainText('as deploy')
  await card.getByRole('button', { name: 'Change' }).click()
  await expect(change.getByLabel('Password')).toHaveValue('')
  expect(await page.content()).not.toContain(PASSWORD)
  await change.getByRole('button', { name: 'Keep as it is' }).click()

  // Who looks only sees what there is, and why it is not theirs to change.
  const context = await browser.newContext({ storageState: signedOut, baseURL: server.url })
  const viewer = await context.newPage()
  await accepted(viewer, server, sofia, '--role', 'viewer')
  await viewer.goto('/settings/mail')
  await expect(viewer.getByRole('region', { name: 'Mail server' })).toContainText('as deploy')
  await expect(viewer.getByRole('button', { name: 'Change' })).toHaveAccessibleDescription(/needs the role admin/)
  await viewer.goto('/settings/access')
  await expect(viewer.getByText('Owners of the server decide how people sign in')).toBeVisible()
  await context.close()

  await card.getByRole('button', { name: 'Forget it' }).click()
  await page.getByRole('dialog', { name: 'Forget the mail server?' }).getByRole('button', { name: 'Forget it' }).click()
  await expect(card).toContainText('No mail leaves')
  await stop()
})

/** Takes every mail on loopback, without encryption: its text as it came. */
async function mailServer() {
  const mails: string[] = []
  const server = createServer((socket) => {
    let [line, mail, inside] = ['', '', false]
    socket.setEncoding('utf8')
    socket.on('error', () => {})
    socket.write('220 harbour\r\n')
    socket.on('data', (part: string) => {
      line += part
      for (let end = line.indexOf('\r\n'); end >= 0; end = line.indexOf('\r\n')) {
        const said = line.slice(0, end)
        line = line.slice(end + 2)
        if (inside && said !== '.') mail += `${said}\n`
        else if (inside) {
          mails.push(mail)
          ;[mail, inside] = ['', false]
          socket.write('250 taken\r\n')
        } else if (/^data/i.test(said)) {
          inside = true
          socket.write('354 go on\r\n')
        } else if (/^quit/i.test(said)) socket.end('221 farewell\r\n')
        else socket.write('250 well\r\n')
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { port: (server.address() as AddressInfo).port, mails, stop: () => new Promise((resolve) => server.close(resolve)) }
}

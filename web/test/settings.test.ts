import { expect, it } from 'vitest'
import { keepsSecret, mailValues, newMail, portFor, providerValues, setProvider, wrongMail, wrongProvider } from '@/features/settings/words'

/** The fields of which something is said. */
const named = (errors: object) => Object.entries(errors).flatMap(([name, error]) => (error === undefined ? [] : [name]))

it('a mail server: what is missing is told, and a password needs a user and encryption', () => {
  expect(named(wrongMail(mailValues(undefined)))).toEqual(['host', 'from'])
  const values = { ...mailValues(undefined), host: ' mail.example.org ', from: 'Plimsoll <plimsoll@example.org>' }
  expect(named(wrongMail(values))).toEqual([])
  expect(newMail(values)).toEqual({ host: 'mail.example.org', port: 465, encryption: 'tls', from: values.from })
  for (const port of ['0', '65536', '4.5', 'smtp', '']) expect(named(wrongMail({ ...values, port }))).toEqual(['port'])
  expect(named(wrongMail({ ...values, user: 'deploy' }))).toEqual(['password'])
  expect(named(wrongMail({ ...values, password: 'secret' }))).toEqual(['user'])
  expect(named(wrongMail({ ...values, user: 'deploy', password: 'secret', encryption: 'none' }))).toEqual(['encryption'])
  expect(newMail({ ...values, user: 'deploy', password: ' as it is ' })).toMatchObject({ user: 'deploy', password: ' as it is ' })
})

it('a mail server that is known is shown without its password, and its port follows the encryption unless it was chosen', () => {
  const known = { host: 'mail.example.org', port: 587, encryption: 'starttls' as const, from: 'a@b', user: 'deploy' }
  const values = mailValues(known)
  expect([values.user, values.password]).toEqual(['deploy', ''])
  expect(portFor('tls', values)).toBe('465')
  expect(portFor('none', values)).toBe('25')
  expect(portFor('tls', { ...values, port: '2525' })).toBe('2525')
})

it('a provider keeps its secret as long as it is the same client of the same provider', () => {
  const known = { name: 'Example', issuer: 'https://id.example.org', client_id: 'plimsoll', scopes: ['email'], link_by_email: false }
  const values = providerValues(known)
  expect(keepsSecret(values, known)).toBe(true)
  expect(named(wrongProvider(values, known))).toEqual([])
  expect(setProvider(values)).not.toHaveProperty('client_secret')
  const moved = { ...values, issuer: 'https://id.example.com' }
  expect(keepsSecret(moved, known)).toBe(false)
  expect(named(wrongProvider(moved, known))).toEqual(['client_secret'])
  expect(named(wrongProvider(providerValues(undefined), undefined))).toEqual(['name', 'issuer', 'client_id', 'client_secret'])
  expect(setProvider({ ...values, client_secret: 'new', scopes: ' email  groups ' })).toMatchObject({ client_secret: 'new', scopes: ['email', 'groups'] })
})

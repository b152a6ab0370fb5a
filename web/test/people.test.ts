import { afterEach, expect, it } from 'vitest'
import { browserOf } from '@/features/people/agent'
import { invitationLink, neededFor, roleMeans } from '@/features/people/roles'
import { adoptPreferences, setPreferences } from '@/preferences'

afterEach(() => setPreferences({ theme: 'system', zone: undefined }))

it.each([
  ['Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0', 'Firefox on Linux'],
  ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36', 'Chrome on Windows'],
  ['Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0', 'Edge on Windows'],
  ['Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1', 'Safari on iPhone'],
  ['Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36', 'Chrome on Android'],
  ['curl/8.5.0', 'curl/8.5.0'],
  ['  ', 'Something without a name'],
])('%s is %s', (agent, words) => expect(browserOf(agent)).toBe(words))

it('what calls itself at length is cut', () => expect(browserOf('x'.repeat(200))).toBe(`${'x'.repeat(60)}…`))

it('owners are left to owners', () => {
  expect(neededFor('viewer')).toBe('admin')
  expect(neededFor('admin', 'deployer')).toBe('admin')
  expect(neededFor('owner', 'viewer')).toBe('owner')
  expect(neededFor('viewer', 'owner')).toBe('owner')
})

it('a role means something else at one app than everywhere', () => {
  expect(roleMeans('deployer')).toContain('create')
  expect(roleMeans('deployer', 'shop')).not.toContain('create')
})

it('the secret of an invitation stands behind the #, which no browser sends', () => {
  const link = new URL(invitationLink('https://plimsoll.example', 'inv_secret'))
  expect([link.pathname, link.hash]).toEqual(['/invitation', '#inv_secret'])
})

it('a zone that this browser does not know is left alone', () => {
  adoptPreferences({ zone: 'Mars/Olympus' })
  expect(localStorage.getItem('plimsoll.zone')).toBeNull()
  adoptPreferences(null)
  adoptPreferences(undefined)
})

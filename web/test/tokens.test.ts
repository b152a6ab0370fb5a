import { expect, it } from 'vitest'
import { roleAt, unless } from '@/api/auth'
import type { Token } from '@/api/schema'
import { grantWords, notToMake, notToRevoke, sorted } from '@/features/tokens/words'
import { candidates } from '@/features/rollback/candidates'
import { targets } from '@/features/rollback/targets'

const token = (id: string, more: Partial<Token> = {}): Token => ({
  id,
  name: id,
  prefix: 'plm_abc',
  access: 'full',
  grants: [],
  created_by: 'ada',
  created_at: `2026-11-21T20:00:0${id.slice(-1)}Z`,
  state: 'valid',
  local: false,
  ...more,
})
const admin = (app: string) => (role: Parameters<typeof unless>[1], at?: string) => unless({ apps: { [app]: 'admin' } }, role, at)
const owner = (role: Parameters<typeof unless>[1], at?: string) => unless({ everywhere: 'owner' }, role, at)

it('tokens are told apart by whose they are, the newest first', () => {
  const all = [
    token('tok_1', { user: 'usr_me' }),
    token('tok_2', { user: 'usr_me' }),
    token('tok_3', { user: 'usr_me', state: 'revoked' }),
    token('tok_4'),
    token('tok_5', { user: 'usr_you', state: 'expired' }),
  ]
  const ids = (list: Token[]) => list.map(({ id }) => id)
  const now = sorted(all, 'usr_me', false)
  expect([ids(now.mine), ids(now.machines), ids(now.others), now.ended]).toEqual([['tok_2', 'tok_1'], ['tok_4'], [], 2])
  const ever = sorted(all, 'usr_me', true)
  // What has ended stands behind what counts, however new it is.
  expect([ids(ever.mine), ids(ever.others)]).toEqual([['tok_2', 'tok_1', 'tok_3'], ['tok_5']])
})

it('a role is everywhere or at an app', () => {
  expect([grantWords({ role: 'viewer' }), grantWords({ role: 'deployer', app: 'shop' })]).toEqual(['viewer everywhere', 'deployer at shop'])
})

it('nobody makes a token that is worth more than they are', () => {
  expect(roleAt({ apps: { shop: 'admin' } }, 'shop')).toBe('admin')
  expect(notToMake('me', [{ role: 'admin', app: 'shop' }], admin('shop'))).toBeUndefined()
  expect(notToMake('me', [{ role: 'owner', app: 'shop' }], admin('shop'))).toContain('needs the role owner in shop')
  expect(notToMake('me', [{ role: 'admin', app: 'shop' }, { role: 'viewer' }], admin('shop'))).toContain('on this server')
  // A machine's needs who sees to people there.
  expect(notToMake('machine', [{ role: 'viewer', app: 'shop' }], admin('shop'))).toBeUndefined()
  const deployer = (role: Parameters<typeof unless>[1], at?: string) => unless({ everywhere: 'admin', apps: {} }, role, at)
  expect(notToMake('machine', [{ role: 'viewer' }], deployer)).toContain('needs the role owner')
  expect(notToMake('machine', [{ role: 'viewer' }], owner)).toBeUndefined()
})

it('one’s own token is one’s own to revoke; others’ are not', () => {
  const mine = token('tok_1', { user: 'usr_me', grants: [{ role: 'owner' }] })
  expect(notToRevoke(mine, 'usr_me', admin('shop'))).toBeUndefined()
  expect(notToRevoke({ ...mine, state: 'revoked' }, 'usr_me', owner)).toBe('It is revoked already')
  expect(notToRevoke(mine, 'usr_you', admin('shop'))).toContain('needs the role owner')
  expect(notToRevoke(mine, 'usr_you', owner)).toBeUndefined()
  expect(notToRevoke(token('tok_2', { grants: [{ role: 'viewer', app: 'shop' }] }), 'usr_me', admin('shop'))).toBeUndefined()
  expect(notToRevoke(token('tok_2', { grants: [{ role: 'viewer', app: 'blog' }] }), 'usr_me', admin('shop'))).toContain('in blog')
  expect(notToRevoke(token('tok_2'), 'usr_me', admin('shop'))).toContain('needs the role owner')
  expect(notToRevoke(token('tok_3', { local: true }), 'usr_me', owner)).toContain('made anew at each start')
})

it('one goes back to a release where it has served and another one serves', () => {
  const serves = (name: string, number: number) => ({ name, active: { release_number: number, deployment: 'dep_1', since: '2026-11-21T20:00:00Z', release: 'rel_1' } })
  const production = serves('production', 2)
  const staging = serves('staging', 1)
  const release = (number: number, served_in = ['production', 'staging'], gone?: string) => ({ number, served_in, files_gone_at: gone })
  expect(targets(release(1), [production, staging])).toEqual([production])
  expect(targets(release(3), [production, staging, { name: 'test', active: null }])).toEqual([production, staging])
  expect(targets(release(3, ['staging']), [production, staging])).toEqual([staging])
  expect(targets(release(3, ['test']), [production, staging])).toContain('never served in production or staging')
  expect(targets(release(2), [production])).toBe('It serves already')
  expect(targets(release(1), [{ name: 'production', active: null }])).toBe('Nothing serves yet')
  expect(targets(release(1, ['production'], '2026-11-21T20:00:00Z'), [production])).toContain('files are not kept')
})

it('a rollback offers the newest that is older, and never goes forward unasked', () => {
  const release = (number: number, gone?: string) => ({ number, files_gone_at: gone })
  const at = '2026-11-21T20:00:00Z'
  expect(candidates([release(9), release(7), release(4, at), release(3), release(3), release(1)], 7)).toEqual({
    offered: [release(9), release(3), release(1)],
    first: release(3),
  })
  expect(candidates([release(9), release(7)], 7)).toEqual({ offered: [release(9)], first: undefined })
  expect(candidates([release(7)], 7)).toEqual({ offered: [], first: undefined })
})

// Signing in and out, and who that is then.
import { api, data } from './client'
import type { AcceptInvitation, Me, MyGrants as Grants, Role, SignedIn, WaysIn } from './schema'

export type { Grants, Me, Role, SignedIn, WaysIn }

export const fetchMe = () => data(api.GET('/api/v1/me'))
export const methods = () => data(api.GET('/api/v1/auth/methods'))

/** `plain`: for browsers that keep no secure cookie on plain HTTP; taken on the machine itself alone. */
export const signIn = (email: string, password: string, plain = false) =>
  data(api.POST('/api/v1/auth/sign-in', { body: { email, password, ...(plain ? { cookie: 'plain' as const } : {}) } }))

export const secondFactor = (ticket: string, code: string) => data(api.POST('/api/v1/auth/second-factor', { body: { ticket, code } }))

export const accept = (invitation: string, person: Omit<AcceptInvitation, 'invitation'>) =>
  data(api.POST('/api/v1/auth/accept', { body: { invitation, ...person } }))

export const signOut = () => data(api.POST('/api/v1/auth/sign-out'))

/** What shows that it is still oneself: the password, or a code of the second factor. */
export type Proof = { password: string; code?: never } | { code: string; password?: never }

export const confirmIdentity = (proof: Proof) => data(api.POST('/api/v1/auth/confirm', { body: proof }))

const RANK: Record<Role, number> = { viewer: 1, deployer: 2, admin: 3, owner: 4 }

/** The role at an app, or everywhere; the higher of both. */
export function roleAt(grants: Grants, app?: string): Role | undefined {
  const here = app === undefined ? undefined : grants.apps?.[app]
  const roles = [grants.everywhere ?? undefined, here].filter((role): role is Role => role !== undefined)
  return roles.sort((a, b) => RANK[b] - RANK[a])[0]
}

/** Why somebody may not do what needs `role`; nothing when they may. For `disabledReason` of buttons. */
export function unless(grants: Grants | undefined, role: Role, app?: string): string | undefined {
  const has = grants && roleAt(grants, app)
  if (has && RANK[has] >= RANK[role]) return undefined
  const where = app ? `in ${app}` : 'on this server'
  return `This needs the role ${role} ${where}; yours is ${has ?? 'none'}`
}

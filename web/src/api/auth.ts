// Signing in. These routes are not operations, so openapi.json does not type them.
import { call } from './client'

export type Role = 'viewer' | 'deployer' | 'admin' | 'owner'

export interface Grants {
  /** Of every app, and of the server itself. */
  everywhere?: Role | null
  /** By the app's name. */
  apps?: Record<string, Role>
}

export interface Me {
  principal: string
  name: string
  email?: string | null
  grants: Grants
  session_ends_at?: string | null
  preferences?: { theme?: 'light' | 'dark' | null; zone?: string | null }
}

export interface Methods {
  password: boolean
  /** What the other way to sign in is called, if there is one. */
  oidc?: string | null
  /** The session's cookie travels over TLS, or never leaves the machine. */
  secure: boolean
  /** Nobody can sign in yet: the first owner has an invitation. */
  owner_missing: boolean
}

export type SignedIn = { state: 'signed_in' } | { state: 'second_factor'; ticket: string }

export const fetchMe = () => call<Me>('GET', '/api/v1/me')
export const methods = () => call<Methods>('GET', '/api/v1/auth/methods')

/** `plain`: for browsers that keep no secure cookie on plain HTTP; taken on the machine itself alone. */
export const signIn = (email: string, password: string, plain = false) =>
  call<SignedIn>('POST', '/api/v1/auth/sign-in', { email, password, ...(plain ? { cookie: 'plain' } : {}) })

export const secondFactor = (ticket: string, code: string) =>
  call<SignedIn>('POST', '/api/v1/auth/second-factor', { ticket, code })

export const accept = (invitation: string, person: { name: string; email?: string; password: string }) =>
  call<SignedIn>('POST', '/api/v1/auth/accept', { invitation, ...person })

export const signOut = () => call<void>('POST', '/api/v1/auth/sign-out')
export const confirmPassword = (password: string) => call<void>('POST', '/api/v1/auth/confirm', { password })

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

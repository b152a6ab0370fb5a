// What is said of tokens, and who may do what with them. Pure.
import type { Grant, Holder, Role, Token } from '@/api/schema'

export type May = (role: Role, app?: string) => string | undefined

export interface Sorted {
  mine: Token[]
  machines: Token[]
  /** Of other people; owners see them. */
  others: Token[]
  /** How many of all are not taken any more. */
  ended: number
}

/** By whose they are, the newest first; those that have ended only when they are wanted, behind the others. */
export function sorted(tokens: Token[], me: string, ended: boolean): Sorted {
  const shown = tokens
    .filter(({ state }) => ended || state === 'valid')
    .toSorted((a, b) => Number(a.state !== 'valid') - Number(b.state !== 'valid') || b.created_at.localeCompare(a.created_at))
  return {
    mine: shown.filter(({ user }) => user === me),
    machines: shown.filter(({ user }) => !user),
    others: shown.filter(({ user }) => user && user !== me),
    ended: tokens.filter(({ state }) => state !== 'valid').length,
  }
}

/** `viewer everywhere`, `deployer at shop`. */
export const grantWords = ({ app, role }: Grant) => (app ? `${role} at ${app}` : `${role} everywhere`)

/** Why one may not make such a token. Nobody gives more than they have, and machines are for who sees to people there. */
export function notToMake(holder: Holder, grants: Grant[], may: May): string | undefined {
  for (const { app, role } of grants) {
    const reason = may(role, app ?? undefined) ?? (holder === 'machine' ? (app ? may('admin', app) : may('owner')) : undefined)
    if (reason) return reason
  }
  return undefined
}

/** Why one may not revoke it. */
export function notToRevoke(token: Pick<Token, 'state' | 'local' | 'user' | 'grants'>, me: string, may: May): string | undefined {
  if (token.state === 'revoked') return 'It is revoked already'
  if (token.local) return 'It is for commands on the server’s own machine, and made anew at each start'
  if (token.user === me) return undefined
  const grants = token.grants ?? []
  if (token.user || grants.length === 0) return may('owner')
  return notToMake('machine', grants, may)
}

/** Lifetimes that are offered; without one it is good until it is revoked. */
export const LIFETIMES: [value: string, word: string][] = [
  ['1d', 'In a day'],
  ['7d', 'In 7 days'],
  ['30d', 'In 30 days'],
  ['90d', 'In 90 days'],
  ['1y', 'In a year'],
  ['', 'When it is revoked'],
]

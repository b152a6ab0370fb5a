// Where pages are: every link is made here. `test/paths.test.ts` holds what they come to.
import { linkOptions } from '@tanstack/react-router'
import type { AuditSearch } from './features/audit/search'
import type { FiguresSearch } from './features/figures/search'

export const to = {
  overview: () => linkOptions({ to: '/' }),
  app: (app: string) => linkOptions({ to: '/apps/$app', params: { app } }),
  environment: (app: string, environment: string) =>
    linkOptions({ to: '/apps/$app/$environment', params: { app, environment } }),
  deployments: (search: { app?: string; environment?: string } = {}) =>
    linkOptions({ to: '/deployments', search }),
  deployment: (deployment: string) => linkOptions({ to: '/deployments/$deployment', params: { deployment } }),
  queue: () => linkOptions({ to: '/queue' }),
  bypasses: (search: { cursor?: string } = {}) => linkOptions({ to: '/bypasses', search }),
  approvals: () => linkOptions({ to: '/approvals' }),
  notifications: () => linkOptions({ to: '/notifications' }),
  people: (search: { cursor?: string } = {}) => linkOptions({ to: '/people', search }),
  person: (user: string) => linkOptions({ to: '/people/$user', params: { user } }),
  appSettings: (app: string) => linkOptions({ to: '/apps/$app/settings', params: { app } }),
  members: (app: string) => linkOptions({ to: '/apps/$app/members', params: { app } }),
  settings: () => linkOptions({ to: '/settings' }),
  mail: () => linkOptions({ to: '/settings/mail' }),
  access: () => linkOptions({ to: '/settings/access' }),
  account: () => linkOptions({ to: '/settings/account' }),
  releases: (app: string) => linkOptions({ to: '/apps/$app/releases', params: { app } }),
  device: (code?: string) => linkOptions({ to: '/device', search: code ? { code } : {} }),
  tokens: () => linkOptions({ to: '/tokens' }),
  audit: (search: AuditSearch = {}) => linkOptions({ to: '/audit', search }),
  guides: (search?: string) => linkOptions({ to: '/guides', search: search ? { search } : {} }),
  guide: (page: string, section?: string) => linkOptions({ to: '/guides/$page', params: { page }, hash: section }),
  figures: (search: FiguresSearch = {}) => linkOptions({ to: '/figures', search }),
  signIn: (next?: string) => linkOptions({ to: '/sign-in', search: next && next !== '/' ? { next } : {} }),
}

/** Where to go after signing in: a page of ours and nothing else. */
export function safeNext(next: string | undefined): string {
  // oxlint-disable-next-line no-control-regex
  if (!next || !next.startsWith('/') || next.startsWith('//') || next.includes('\\') || /[\u0000-\u001f]/.test(next)) return '/'
  return next
}

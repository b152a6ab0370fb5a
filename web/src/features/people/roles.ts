// Roles as people read them, and who may give which.
import type { Role } from '@/api/schema'

export const ROLES: Role[] = ['viewer', 'deployer', 'admin', 'owner']

export const roleWord: Record<Role, string> = { viewer: 'Viewer', deployer: 'Deployer', admin: 'Admin', owner: 'Owner' }

/** What a role may do, beside what those before it may: at one app. */
const AT_APP: Record<Role, string> = {
  viewer: 'Looks at everything of the app, and changes nothing.',
  deployer: 'Deploys, rolls back, cancels, and orders its own deployments in the queue.',
  admin: 'Changes the app’s source, variables and limits, and who works on it.',
  owner: 'May delete the app, and decides who owns it.',
}

/** The same at every app, and at the server itself. */
const EVERYWHERE: Record<Role, string> = {
  viewer: 'Looks at every app and at the server, and changes nothing.',
  deployer: 'Deploys every app, and may create new ones.',
  admin: 'Changes how every app is set up, and runs the server.',
  owner: 'May do everything: delete apps, and decide who may come in.',
}

export const roleMeans = (role: Role, app?: string) => (app === undefined ? EVERYWHERE : AT_APP)[role]

/** Who touches somebody's role at an app needs this one: owners are left to owners. */
export const neededFor = (...roles: (Role | null | undefined)[]): Role => (roles.includes('owner') ? 'owner' : 'admin')

/** Everywhere, in words; nothing there is a role at single apps at most. */
export const everywhereWord = (role: Role | null | undefined) => (role ? roleWord[role] : 'At single apps only')

/** The address of the page that accepts an invitation. The secret stands where no browser sends it. */
export const invitationLink = (origin: string, secret: string) => `${origin}/invitation#${secret}`

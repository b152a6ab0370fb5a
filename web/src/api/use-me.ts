import { useSuspenseQuery } from '@tanstack/react-query'
import { type Role, roleAt, unless } from './auth'
import { me } from './queries'

/** For `disabledReason`: why the person may not do what needs `role`; nothing when they may. The server decides all the same. */
export function useMay(): (role: Role, app?: string) => string | undefined {
  const { data } = useSuspenseQuery(me())
  return (role, app) => unless(data.grants, role, app)
}

/** The same for what needs `role` at any app at all. */
export function useMaySomewhere(): (role: Role) => string | undefined {
  const { data } = useSuspenseQuery(me())
  return (role) => {
    const places = [undefined, ...Object.keys(data.grants.apps ?? {})]
    if (places.some((app) => unless(data.grants, role, app) === undefined)) return undefined
    return `This needs the role ${role} in some app; yours is ${roleAt(data.grants) ?? 'less'}`
  }
}

// Everything that needs somebody who is signed in.
import { Outlet, createFileRoute, redirect } from '@tanstack/react-router'
import { ApiError } from '@/api/errors'
import { me } from '@/api/queries'
import { Shell } from '@/layout/shell'
import { to } from '@/paths'
import { adoptPreferences } from '@/preferences'
import { nowIs } from '@/realtime/tabs'

export const Route = createFileRoute('/_app')({
  beforeLoad: async ({ context, location }) => {
    try {
      const { principal, preferences } = await context.client.ensureQueryData(me())
      nowIs(principal)
      adoptPreferences(preferences)
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        nowIs(null)
        throw redirect(to.signIn(location.href))
      }
      throw error
    }
  },
  component: () => (
    <Shell>
      <Outlet />
    </Shell>
  ),
})

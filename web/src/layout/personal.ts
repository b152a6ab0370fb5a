// What people do about themselves, from the menu as well as from the page of their account.
import { useQueryClient, useSuspenseQuery } from '@tanstack/react-query'
import { useNavigate, useRouter } from '@tanstack/react-router'
import { savePreferences } from '@/api/actions'
import { signOut } from '@/api/auth'
import { newKey } from '@/api/keys'
import { me } from '@/api/queries'
import { to } from '@/paths'
import { type Preferences, forgetPreferences, setPreferences, usePreferences } from '@/preferences'
import { nowIs } from '@/realtime/tabs'
import { useToast } from '@/ui/toast'

export function useSignOut(): () => Promise<void> {
  const client = useQueryClient()
  const router = useRouter()
  const navigate = useNavigate()
  const toast = useToast()
  return async () => {
    try {
      await signOut()
      client.clear()
      forgetPreferences()
      nowIs(null)
      await navigate(to.signIn())
      await router.invalidate()
    } catch (error) {
      toast.fail(error)
    }
  }
}

/** Chooses for this browser at once, and for others of the same person, which take it when nothing was chosen there. */
export function useChoose(): (change: Partial<Preferences>) => Promise<void> {
  const client = useQueryClient()
  const { data: person } = useSuspenseQuery(me())
  const now = usePreferences()
  const toast = useToast()
  return async (change) => {
    setPreferences(change)
    // A token that is no person's has nobody to remember it for.
    if (!person.email) return
    const { theme, zone } = { ...now, ...change }
    const preferences = { theme: theme === 'system' ? null : theme, zone: zone ?? null }
    // Before the answer: a page that opens meanwhile must not take the old choice back.
    client.setQueryData(me().queryKey, (before) => before && { ...before, preferences })
    try {
      await savePreferences(preferences, newKey())
    } catch (error) {
      toast.fail(error)
    }
  }
}

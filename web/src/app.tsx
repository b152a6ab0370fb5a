import { CSPProvider } from '@base-ui/react/csp-provider'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { type ErrorComponentProps, RouterProvider, createRouter } from '@tanstack/react-router'
import { useCallback, useEffect } from 'react'
import { openDoors } from './api/client'
import { willPass } from './api/errors'
import { routeTree } from './routeTree.gen'
import { Failed, Skeleton } from './ui/states'
import { ConfirmProvider } from './ui/confirm'
import { ToastProvider } from './ui/toast'
import { TooltipProvider } from './ui/tooltip'
import { NotFound } from './layout/not-found'
import { IdentityProvider } from './layout/identity'
import { safeNext } from './paths'
import { setConnection } from './realtime/connection'
import { hearTabs, nowIs } from './realtime/tabs'

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      // Events say what has become old; this is for what happens while nobody listens.
      staleTime: 30_000,
      retry: (failures, error) => willPass(error) && failures < 3,
      // What passes is asked for again until it has passed, on pages that show it.
      refetchInterval: ({ state: { error } }) => (willPass(error) ? 15_000 : false),
      retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 8000),
      // A page that is offline shows what it has; the browser's own word for "online" is often wrong.
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
})

/** Soon enough after a restart of the server. */
const AGAIN = 5000

/** A page that could not be shown at all: it is begun anew, with what it asks before it is shown. */
function Broken({ error, reset }: ErrorComponentProps) {
  const again = useCallback(() => {
    reset()
    void router.invalidate()
  }, [reset])
  useEffect(() => {
    if (!willPass(error)) return
    const timer = setTimeout(again, AGAIN)
    return () => clearTimeout(timer)
  }, [error, again])
  return <Failed error={error} retry={again} className="m-6" />
}

export const router = createRouter({
  routeTree,
  context: { client },
  defaultPreload: 'intent',
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
  defaultPendingMs: 150,
  // What is there is shown: a page that is held back for the sake of its placeholder is late.
  defaultPendingMinMs: 0,
  defaultPendingComponent: () => (
    <div className="p-6">
      <Skeleton lines={6} />
    </div>
  ),
  defaultErrorComponent: Broken,
  defaultNotFoundComponent: NotFound,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

// The tabs of a browser share its cookie: what this one shows is somebody else's now, or nobody's.
hearTabs((person) => {
  const { pathname, search } = router.latestLocation
  if (pathname !== '/sign-in') location.reload()
  else if (person !== null) location.assign(safeNext((search as { next?: string }).next))
})

openDoors({
  signedOut: () => {
    setConnection('signed_out')
    nowIs(null)
    const { href, pathname } = router.latestLocation
    if (pathname === '/sign-in') return
    client.removeQueries({ queryKey: ['me'] })
    void router.navigate({ to: '/sign-in', search: href === '/' ? {} : { next: href }, replace: true })
  },
})

export const App = () => (
  // The content security policy allows no style elements: what Base UI would write there is in styles.css.
  <CSPProvider disableStyleElements>
    <QueryClientProvider client={client}>
      <TooltipProvider>
        <ToastProvider>
          <IdentityProvider>
            <ConfirmProvider>
              <RouterProvider router={router} />
            </ConfirmProvider>
          </IdentityProvider>
        </ToastProvider>
      </TooltipProvider>
    </QueryClientProvider>
  </CSPProvider>
)

import { CSPProvider } from '@base-ui/react/csp-provider'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider, createRouter } from '@tanstack/react-router'
import { openDoors } from './api/client'
import { willPass } from './api/errors'
import { routeTree } from './routeTree.gen'
import { Failed, Skeleton } from './ui/states'
import { ConfirmProvider } from './ui/confirm'
import { ToastProvider } from './ui/toast'
import { TooltipProvider } from './ui/tooltip'
import { NotFound } from './layout/not-found'
import { IdentityProvider } from './layout/identity'
import { setConnection } from './realtime/connection'

export const client = new QueryClient({
  defaultOptions: {
    queries: {
      // Events say what has become old; this is for what happens while nobody listens.
      staleTime: 30_000,
      retry: (failures, error) => willPass(error) && failures < 3,
      retryDelay: (attempt) => Math.min(500 * 2 ** attempt, 8000),
      // A page that is offline shows what it has; the browser's own word for "online" is often wrong.
      networkMode: 'always',
    },
    mutations: { networkMode: 'always' },
  },
})

export const router = createRouter({
  routeTree,
  context: { client },
  defaultPreload: 'intent',
  defaultPreloadStaleTime: 0,
  scrollRestoration: true,
  defaultPendingMs: 150,
  defaultPendingComponent: () => (
    <div className="p-6">
      <Skeleton lines={6} />
    </div>
  ),
  defaultErrorComponent: ({ error, reset }) => <Failed error={error} retry={reset} className="m-6" />,
  defaultNotFoundComponent: NotFound,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}

openDoors({
  signedOut: () => {
    setConnection('signed_out')
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

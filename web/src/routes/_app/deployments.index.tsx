import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { createFileRoute, useNavigate } from '@tanstack/react-router'
import { text } from '@/address'
import { deployments } from '@/api/queries'
import type { Phase } from '@/api/schema'
import { DeploymentList } from '@/features/deployment/list'
import { to } from '@/paths'
import { Button, ButtonLink } from '@/ui/button'
import { Card } from '@/ui/card'
import { Input, Select } from '@/ui/field'
import { Page } from '@/ui/page'
import { Pager } from '@/ui/pager'
import { Empty, Loaded } from '@/ui/states'
import { phaseWord } from '@/ui/status'
import { useTyped } from '@/ui/typed'

const PHASES: Phase[] = ['queued', 'building', 'health_check', 'active', 'failed', 'rolled_back', 'cancelled']

interface Search {
  app?: string
  environment?: string
  phase?: Phase
  cursor?: string
}

export const Route = createFileRoute('/_app/deployments/')({
  validateSearch: (search: Record<string, unknown>): Search => ({
    app: text(search.app),
    environment: text(search.environment),
    phase: PHASES.find((phase) => phase === search.phase),
    cursor: text(search.cursor),
  }),
  component: Deployments,
})

function Deployments() {
  const search = Route.useSearch()
  const navigate = useNavigate({ from: Route.fullPath })
  const [app, setApp] = useTyped(search.app ?? '')
  const [environment, setEnvironment] = useTyped(search.environment ?? '')
  const query = useQuery({ ...deployments({ ...search, limit: 50 }), placeholderData: keepPreviousData })
  const filtered = Boolean(search.app ?? search.environment ?? search.phase)
  const filter = (change: Partial<Search>) => void navigate({ search: { ...search, cursor: undefined, ...change } })
  const typed = () => {
    const now = { app: app.trim() || undefined, environment: environment.trim() || undefined }
    if (now.app !== search.app || now.environment !== search.environment) filter(now)
  }
  return (
    <Page title="Deployments">
      <Card flush>
        <form
          role="search"
          aria-label="Filter deployments"
          className="flex flex-wrap gap-2 border-b border-line p-3"
          onSubmit={(event) => {
            event.preventDefault()
            typed()
          }}
        >
          <Input
            aria-label="App"
            placeholder="App"
            className="w-44 max-sm:grow"
            value={app}
            autoCapitalize="none"
            spellCheck={false}
            onChange={(event) => setApp(event.target.value)}
            onBlur={typed}
          />
          <Input
            aria-label="Environment"
            placeholder="Environment"
            className="w-44 max-sm:grow"
            value={environment}
            autoCapitalize="none"
            spellCheck={false}
            onChange={(event) => setEnvironment(event.target.value)}
            onBlur={typed}
          />
          <Select
            aria-label="Phase"
            className="w-44 max-sm:grow"
            value={search.phase ?? ''}
            onChange={(event) => filter({ phase: PHASES.find((phase) => phase === event.target.value) })}
          >
            <option value="">Every phase</option>
            {PHASES.map((phase) => (
              <option key={phase} value={phase}>
                {phaseWord(phase)}
              </option>
            ))}
          </Select>
          {/* Enter in one of several fields sends a form that has such a button. */}
          <button type="submit" hidden>
            Filter
          </button>
          {filtered ? (
            <Button look="quiet" onClick={() => void navigate({ search: {} })}>
              Show all
            </Button>
          ) : null}
        </form>
        <Loaded query={query}>
          {({ items, next }) =>
            items.length === 0 ? (
              <Empty title={filtered ? 'No deployment is like this' : 'No deployments yet'} actions={filtered ? undefined : <ButtonLink {...to.overview()}>To the apps</ButtonLink>}>
                {filtered ? 'Take a filter away to see more.' : 'Deploy an app from the overview.'}
              </Empty>
            ) : (
              <>
                <DeploymentList deployments={items} label="Deployments" />
                <Pager at={search.cursor} next={next} go={(cursor) => void navigate({ search: { ...search, cursor } })} />
              </>
            )
          }
        </Loaded>
      </Card>
    </Page>
  )
}

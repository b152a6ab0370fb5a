import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { createFileRoute, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { deployments } from '@/api/queries'
import type { Phase } from '@/api/schema'
import { DeploymentList } from '@/features/deployment/list'
import { to } from '@/paths'
import { Button, ButtonLink } from '@/ui/button'
import { Card } from '@/ui/card'
import { Input, Select } from '@/ui/field'
import { Page } from '@/ui/page'
import { Empty, Loaded } from '@/ui/states'
import { phaseWord } from '@/ui/status'

const PHASES: Phase[] = ['queued', 'building', 'health_check', 'active', 'failed', 'rolled_back', 'cancelled']

interface Search {
  app?: string
  environment?: string
  phase?: Phase
  cursor?: string
}

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined)

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
  const [typed, setTyped] = useState(search.app ?? '')
  const query = useQuery({ ...deployments({ ...search, limit: 50 }), placeholderData: keepPreviousData })
  const filtered = Boolean(search.app ?? search.environment ?? search.phase)
  const filter = (change: Partial<Search>) => void navigate({ search: { ...search, cursor: undefined, ...change } })
  return (
    <Page title="Deployments">
      <Card flush>
        <form
          role="search"
          aria-label="Filter deployments"
          className="flex flex-wrap gap-2 border-b border-line p-3"
          onSubmit={(event) => {
            event.preventDefault()
            filter({ app: typed.trim() || undefined })
          }}
        >
          <Input
            aria-label="App"
            placeholder="App"
            className="w-44 max-sm:grow"
            value={typed}
            autoCapitalize="none"
            spellCheck={false}
            onChange={(event) => setTyped(event.target.value)}
            onBlur={() => filter({ app: typed.trim() || undefined })}
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
          {filtered ? (
            <Button
              look="quiet"
              onClick={() => {
                setTyped('')
                void navigate({ search: {} })
              }}
            >
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
                {next || search.cursor ? (
                  <div className="flex justify-between border-t border-line p-3">
                    {search.cursor ? (
                      <Button size="sm" onClick={() => filter({ cursor: undefined })}>
                        The newest
                      </Button>
                    ) : (
                      <span />
                    )}
                    {next ? (
                      <Button size="sm" onClick={() => void navigate({ search: { ...search, cursor: next } })}>
                        Older ones
                      </Button>
                    ) : null}
                  </div>
                ) : null}
              </>
            )
          }
        </Loaded>
      </Card>
    </Page>
  )
}

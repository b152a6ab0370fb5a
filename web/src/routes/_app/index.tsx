import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { createFileRoute, useNavigate } from '@tanstack/react-router'
import { useState } from 'react'
import { text } from '@/address'
import { overview } from '@/api/queries'
import { useMay } from '@/api/use-me'
import { CreateApp } from '@/features/create-app'
import { Environments } from '@/features/overview/environments'
import { needOf } from '@/features/overview/needs'
import { NeedsYou } from '@/features/overview/needs-you'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { CodeBlock } from '@/ui/code'
import { number, plural } from '@/ui/format'
import { Page } from '@/ui/page'
import { Empty, Failed, Skeleton } from '@/ui/states'
import { Plus } from 'lucide-react'

export const Route = createFileRoute('/_app/')({
  validateSearch: (search: Record<string, unknown>): { cursor?: string } => {
    const cursor = text(search.cursor)
    return cursor === undefined ? {} : { cursor }
  },
  loaderDeps: ({ search }) => search,
  loader: ({ context, deps }) => void context.client.prefetchQuery(overview(deps)),
  component: Overview,
})

function Overview() {
  const search = Route.useSearch()
  const navigate = useNavigate({ from: Route.fullPath })
  const { data, error, refetch } = useQuery({ ...overview(search), placeholderData: keepPreviousData })
  const may = useMay()
  const [creating, setCreating] = useState(false)
  const atWork = data?.running ?? 0
  return (
    <Page
      title="Overview"
      mood={atWork > 0 ? 'running' : data?.needs_you.some((need) => needOf(need).tone === 'bad') ? 'failed' : undefined}
      lead={
        data && data.apps.length > 0
          ? [
              data.next || search.cursor ? undefined : plural(data.apps.length, 'app'),
              atWork > 0 ? `${plural(atWork, 'deployment')} going on` : undefined,
              data.queued > 0 ? `${number(data.queued)} waiting` : undefined,
            ]
              .filter(Boolean)
              .join(', ') || undefined
          : undefined
      }
      actions={
        <Button onClick={() => setCreating(true)} disabledReason={may('deployer')}>
          <Plus aria-hidden /> New app
        </Button>
      }
    >
      {data ? (
        data.apps.length === 0 && !search.cursor ? (
          <Card>
            <Empty
              title="No apps yet"
              actions={
                <Button look="primary" onClick={() => setCreating(true)} disabledReason={may('deployer')}>
                  <Plus aria-hidden /> New app
                </Button>
              }
            >
              <p className="mb-3">Make one from a git repository here, or deploy the folder that you are in:</p>
              <CodeBlock label="Command that deploys the current folder" text="plimsoll deploy" className="text-left" />
            </Empty>
          </Card>
        ) : (
          <>
            <NeedsYou needs={data.needs_you} />
            <Card title="Apps" flush>
              <Environments apps={data.apps} />
              {data.next || search.cursor ? (
                <div className="flex justify-between border-t border-line p-3">
                  {search.cursor ? (
                    <Button size="sm" onClick={() => void navigate({ search: {} })}>
                      The first apps
                    </Button>
                  ) : (
                    <span />
                  )}
                  {data.next ? (
                    <Button size="sm" onClick={() => void navigate({ search: { cursor: data.next ?? undefined } })}>
                      More apps
                    </Button>
                  ) : null}
                </div>
              ) : null}
            </Card>
          </>
        )
      ) : error ? (
        <Failed error={error} retry={() => void refetch()} />
      ) : (
        <Card>
          <Skeleton lines={6} />
        </Card>
      )}
      {creating ? <CreateApp close={() => setCreating(false)} /> : null}
    </Page>
  )
}

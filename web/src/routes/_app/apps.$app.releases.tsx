import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { createFileRoute, useNavigate } from '@tanstack/react-router'
import { text } from '@/address'
import { app as appQuery, releases } from '@/api/queries'
import type { AppDetail } from '@/api/schema'
import { ReleaseList } from '@/features/environment/releases'
import { BackTo } from '@/features/rollback/back-to'
import { to } from '@/paths'
import { Card } from '@/ui/card'
import { Page } from '@/ui/page'
import { Pager } from '@/ui/pager'
import { Loaded } from '@/ui/states'

interface Search {
  cursor?: string
}

export const Route = createFileRoute('/_app/apps/$app/releases')({
  validateSearch: (search: Record<string, unknown>): Search => ({ cursor: text(search.cursor) }),
  loader: ({ context, params }) => void context.client.prefetchQuery(appQuery(params.app)),
  component: Releases,
})

function Releases() {
  const { app: name } = Route.useParams()
  const query = useQuery(appQuery(name))
  return (
    <Loaded query={query} title="Releases">
      {(app) => <Shown app={app} />}
    </Loaded>
  )
}

function Shown({ app }: { app: AppDetail }) {
  const { cursor } = Route.useSearch()
  const navigate = useNavigate({ from: Route.fullPath })
  const query = useQuery({ ...releases(app.name, { cursor, limit: 50 }), placeholderData: keepPreviousData })
  return (
    <Page
      title="Releases"
      trail={[
        { word: 'Overview', link: to.overview() },
        { word: app.name, link: to.app(app.name) },
      ]}
      lead="Every version that was built, and where it serves. What serves can be changed back to any whose files are still kept."
    >
      <Card flush>
        <Loaded query={query}>
          {({ items, next }) => (
            <>
              <ReleaseList releases={items} actions={(release) => <BackTo release={release} environments={app.environments} app={app.name} />} />
              <Pager at={cursor} next={next} go={(to) => void navigate({ search: { cursor: to } })} />
            </>
          )}
        </Loaded>
      </Card>
    </Page>
  )
}

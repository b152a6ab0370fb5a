import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link, createFileRoute, useNavigate } from '@tanstack/react-router'
import { text } from '@/address'
import { bypasses } from '@/api/queries'
import type { Bypass } from '@/api/schema'
import { to } from '@/paths'
import { Card } from '@/ui/card'
import { Page } from '@/ui/page'
import { Pager } from '@/ui/pager'
import { Empty, Loaded } from '@/ui/states'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'

const PAGE = 50

interface Search {
  cursor?: string
}

export const Route = createFileRoute('/_app/bypasses')({
  validateSearch: (search: Record<string, unknown>): Search => ({ cursor: text(search.cursor) }),
  loaderDeps: ({ search }) => search,
  loader: ({ context, deps: { cursor } }) => void context.client.prefetchQuery(bypasses({ cursor, limit: PAGE })),
  component: Bypasses,
})

const columns: Column<Bypass>[] = [
  {
    head: 'Deployment',
    phone: 'title',
    cell: ({ deployment, app, environment }) => (
      <Link {...to.deployment(deployment)} className="touch font-semibold hover:underline">
        {app} / {environment}
      </Link>
    ),
  },
  { head: 'Why', className: 'sm:max-w-80', cell: ({ reason }) => <span className="min-w-0 break-words max-sm:text-right">{reason}</span> },
  {
    head: 'Past',
    className: 'sm:max-w-80',
    cell: ({ rule }) => <span className="min-w-0 text-sm break-words text-muted max-sm:text-right">{rule ?? 'nothing that held it just then'}</span>,
  },
  {
    head: 'By',
    cell: ({ requested_by: by, approved_by: yes }) => (
      <span className="max-sm:text-right">
        {by}
        {yes ? <span className="block text-sm text-muted">approved by {yes}</span> : null}
      </span>
    ),
  },
  { head: 'When', right: true, cell: ({ at }) => <Time at={at} className="text-muted" /> },
]

function Bypasses() {
  const { cursor } = Route.useSearch()
  const navigate = useNavigate({ from: Route.fullPath })
  const query = useQuery({ ...bypasses({ cursor, limit: PAGE }), placeholderData: keepPreviousData })
  return (
    <Page
      title="Past closed windows"
      trail={[{ word: 'Queue', link: to.queue() }]}
      lead="Deployments that neither window nor freeze held, because somebody said why they could not wait."
    >
      <Card flush>
        <Loaded query={query}>
          {({ items, next }) => (
            <>
              {items.length === 0 ? (
                <Empty title="Nobody went past">A deployment of the priority critical may, with a reason, which stands here then.</Empty>
              ) : (
                <Table label="Deployments that went past closed windows" columns={columns} rows={items} id={({ id }) => id} />
              )}
              <Pager
                at={cursor}
                next={next}
                busy={query.isPlaceholderData}
                go={(at) => void navigate({ search: { cursor: at } })}
              />
            </>
          )}
        </Loaded>
      </Card>
    </Page>
  )
}

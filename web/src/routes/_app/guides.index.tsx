import { useQuery } from '@tanstack/react-query'
import { Link, createFileRoute, useNavigate } from '@tanstack/react-router'
import { text } from '@/address'
import { guides } from '@/api/queries'
import { Contents } from '@/features/guides/contents'
import { Found, SearchField } from '@/features/guides/search'
import { to } from '@/paths'
import { Card } from '@/ui/card'
import { Page } from '@/ui/page'
import { Loaded } from '@/ui/states'

export const Route = createFileRoute('/_app/guides/')({
  validateSearch: (search: Record<string, unknown>): { search?: string } => {
    const words = text(search.search)
    return words === undefined ? {} : { search: words }
  },
  loader: ({ context }) => void context.client.prefetchQuery(guides()),
  component: Guides,
})

function Guides() {
  const { search = '' } = Route.useSearch()
  const navigate = useNavigate({ from: Route.fullPath })
  const query = useQuery(guides())
  return (
    <Page title="Guides" lead="How Plimsoll is used and run. They belong to this version, and come from this server.">
      <SearchField words={search} change={(words) => void navigate({ search: words === '' ? {} : { search: words }, replace: true })} />
      {search === '' ? (
        <Loaded query={query}>
          {(all) =>
            all.map((guide) => (
              <Card
                key={guide.page}
                title={
                  <Link {...to.guide(guide.page)} className="touch inline-flex items-center hover:underline">
                    {guide.title}
                  </Link>
                }
              >
                <Contents guide={guide} className="gap-x-8 sm:columns-2 lg:columns-3" />
              </Card>
            ))
          }
        </Loaded>
      ) : (
        <Found words={search} />
      )}
    </Page>
  )
}

import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { createFileRoute, useNavigate } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { text } from '@/address'
import { approvals } from '@/api/approvals'
import type { Approval } from '@/api/schema'
import { ApprovalCard } from '@/features/approvals/approval'
import { Card } from '@/ui/card'
import { plural } from '@/ui/format'
import { Page } from '@/ui/page'
import { Pager } from '@/ui/pager'
import { Empty, Loaded } from '@/ui/states'

const pending = (cursor?: string) => approvals({ state: 'pending', limit: 100, cursor })
const latest = (cursor?: string) => approvals({ limit: 50, cursor })

interface Search {
  /** Where the page of those that wait begins. */
  waiting?: string
  /** The same for all of them, of which what was decided is shown. */
  decided?: string
}

export const Route = createFileRoute('/_app/approvals')({
  validateSearch: (search: Record<string, unknown>): Search => ({ waiting: text(search.waiting), decided: text(search.decided) }),
  loaderDeps: ({ search }) => search,
  loader: ({ context, deps }) => void context.client.prefetchQuery(pending(deps.waiting)),
  component: Approvals,
})

function Approvals() {
  const search = Route.useSearch()
  const navigate = useNavigate({ from: Route.fullPath })
  const waiting = useQuery({ ...pending(search.waiting), placeholderData: keepPreviousData })
  const all = useQuery({ ...latest(search.decided), placeholderData: keepPreviousData })
  return (
    <Page title="Approvals" lead="What waits for somebody’s yes before it begins, and what was decided.">
      <Loaded query={waiting}>
        {({ items, next }) => {
          const mine = items.filter(({ may_vote: may }) => may)
          const others = items.filter(({ may_vote: may }) => !may)
          return (
            <>
              <Group title="Your vote is asked for" items={mine} aside={mine.length > 0 ? plural(mine.length, 'question') : undefined}>
                <Empty title="Nobody waits for you">What you may approve of stands here. You never vote on what you ordered yourself.</Empty>
              </Group>
              {others.length > 0 ? <Group title="Waits for others" items={others} /> : null}
              <Pager
                cursor={search.waiting}
                next={next}
                first="The newest questions"
                more="Older questions"
                busy={waiting.isPlaceholderData}
                go={(at) => void navigate({ search: { ...search, waiting: at } })}
              />
            </>
          )
        }}
      </Loaded>
      <Loaded query={all}>
        {({ items, next }) => {
          const decided = items.filter(({ state }) => state !== 'pending')
          const more = Boolean(next) || search.decided !== undefined
          return (
            <>
              {decided.length > 0 || more ? (
                <Group title="Decided" items={decided}>
                  <p className="text-muted">Of these times, all still wait.</p>
                </Group>
              ) : null}
              <Pager
                cursor={search.decided}
                next={next}
                first="The newest decisions"
                more="Older decisions"
                busy={all.isPlaceholderData}
                go={(at) => void navigate({ search: { ...search, decided: at } })}
              />
            </>
          )
        }}
      </Loaded>
    </Page>
  )
}

function Group({ title, items, aside, children }: { title: string; items: Approval[]; aside?: string; children?: ReactNode }) {
  return (
    <Card title={title} aside={aside ? <span className="text-sm text-muted">{aside}</span> : undefined}>
      {items.length === 0 ? (
        children
      ) : (
        <div className="grid items-start gap-4 lg:grid-cols-2">
          {items.map((approval) => (
            <ApprovalCard key={approval.id} approval={approval} />
          ))}
        </div>
      )}
    </Card>
  )
}

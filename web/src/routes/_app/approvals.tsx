import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { createFileRoute } from '@tanstack/react-router'
import { type ReactNode, useState } from 'react'
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

export const Route = createFileRoute('/_app/approvals')({
  loader: ({ context }) => void context.client.prefetchQuery(pending()),
  component: Approvals,
})

function Approvals() {
  const [asked, setAsked] = useState<string>()
  const [decidedAt, setDecidedAt] = useState<string>()
  const waiting = useQuery({ ...pending(asked), placeholderData: keepPreviousData })
  const all = useQuery({ ...latest(decidedAt), placeholderData: keepPreviousData })
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
              <Pager at={asked} next={next} go={setAsked} />
            </>
          )
        }}
      </Loaded>
      <Loaded query={all}>
        {({ items, next }) => {
          const decided = items.filter(({ state }) => state !== 'pending')
          return decided.length > 0 || next || decidedAt ? (
            <>
              <Group title="Decided" items={decided}>
                <Empty title="None among these">What waits is between those that were decided.</Empty>
              </Group>
              <Pager at={decidedAt} next={next} go={setDecidedAt} />
            </>
          ) : null
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

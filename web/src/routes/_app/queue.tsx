import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link, createFileRoute, useNavigate } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { type ReactNode, Suspense, lazy, useState } from 'react'
import { text } from '@/address'
import { diagnosis, queue, schedules, timeline, windows } from '@/api/queries'
import { type Role } from '@/api/auth'
import { useMaySomewhere } from '@/api/use-me'
import { AtWork } from '@/features/queue/at-work'
import { Lanes } from '@/features/queue/lanes'
import { Waiting } from '@/features/queue/waiting'
import { Schedules } from '@/features/schedules/list'
import { Windows } from '@/features/windows/list'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { Page } from '@/ui/page'
import { Pager } from '@/ui/pager'
import { Loaded } from '@/ui/states'

const EditSchedule = lazy(() => import('@/features/schedules/edit'))
const AddWindow = lazy(() => import('@/features/windows/add'))

const PAGE = 100

interface Search {
  /** Where the page of those that wait begins. */
  cursor?: string
}

export const Route = createFileRoute('/_app/queue')({
  validateSearch: (search: Record<string, unknown>): Search => ({ cursor: text(search.cursor) }),
  loaderDeps: ({ search }) => search,
  loader: ({ context, deps: { cursor } }) => void context.client.prefetchQuery(queue({ limit: PAGE, cursor })),
  component: Queue,
})

function Queue() {
  const working = useQuery(diagnosis())
  const { cursor } = Route.useSearch()
  const navigate = useNavigate({ from: Route.fullPath })
  const waiting = useQuery({ ...queue({ limit: PAGE, cursor }), placeholderData: keepPreviousData })
  const ahead = useQuery(timeline({ hours: 24 }))
  const repeated = useQuery(schedules())
  const rules = useQuery(windows())
  const running = working.data?.items.filter(({ state }) => state !== 'waiting') ?? []
  return (
    <Page title="Queue" mood={running.length > 0 ? 'running' : undefined} lead="What goes on, what waits for its turn and why, and what the next day brings.">
      <Card title="At work" flush aside={<Count of={running.length} />}>
        <Loaded query={working}>{() => <AtWork diagnoses={running} />}</Loaded>
      </Card>
      <Card title="Waiting" flush aside={<Count of={waiting.data?.items.length ?? 0} more={Boolean(waiting.data?.next)} />}>
        <Loaded query={waiting}>
          {({ items, next }) => (
            <>
              <Waiting entries={items} />
              <Pager
                at={cursor}
                next={next}
                first="From the front"
                more="Those behind"
                busy={waiting.isPlaceholderData}
                go={(at) => void navigate({ search: { cursor: at } })}
              />
            </>
          )}
        </Loaded>
      </Card>
      <Card title="The next 24 hours" flush>
        <Loaded query={ahead}>{(found) => <Lanes ahead={found} />}</Loaded>
      </Card>
      <Card title="Schedules" flush aside={<Add word="New schedule" needs="deployer">{(close) => <EditSchedule close={close} />}</Add>}>
        <Loaded query={repeated}>{(found) => <Schedules schedules={found} />}</Loaded>
      </Card>
      <Card
        title="Deploy windows and freezes"
        flush
        aside={
          <span className="flex flex-wrap items-center gap-3">
            <Link {...to.bypasses()} className="touch inline-flex items-center text-sm text-accent hover:underline">
              Who went past
            </Link>
            <Add word="New rule" needs="admin">{(close) => <AddWindow close={close} />}</Add>
          </span>
        }
      >
        <Loaded query={rules}>{(found) => <Windows windows={found} />}</Loaded>
      </Card>
    </Page>
  )
}

/** The dialog is asked for when it is opened. */
function Add({ word, needs, children }: { word: string; needs: Role; children(close: () => void): ReactNode }) {
  const somewhere = useMaySomewhere()
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button size="sm" disabledReason={somewhere(needs)} onClick={() => setOpen(true)}>
        <Plus aria-hidden /> {word}
      </Button>
      {open ? <Suspense fallback={null}>{children(() => setOpen(false))}</Suspense> : null}
    </>
  )
}

const Count = ({ of, more }: { of: number; more?: boolean }) => (
  <span className="text-sm text-muted tabular">
    {of}
    {more ? ' and more' : ''}
  </span>
)

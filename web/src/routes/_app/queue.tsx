import { useQuery } from '@tanstack/react-query'
import { createFileRoute } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { type ReactNode, Suspense, lazy, useState } from 'react'
import { diagnosis, queue, schedules, timeline, windows } from '@/api/queries'
import { type Role } from '@/api/auth'
import { useMaySomewhere } from '@/api/use-me'
import { AtWork } from '@/features/queue/at-work'
import { Lanes } from '@/features/queue/lanes'
import { Waiting } from '@/features/queue/waiting'
import { Schedules } from '@/features/schedules/list'
import { Windows } from '@/features/windows/list'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { Page } from '@/ui/page'
import { Loaded } from '@/ui/states'

const EditSchedule = lazy(() => import('@/features/schedules/edit'))
const AddWindow = lazy(() => import('@/features/windows/add'))

export const Route = createFileRoute('/_app/queue')({
  loader: ({ context }) => void context.client.prefetchQuery(queue({ limit: 100 })),
  component: Queue,
})

function Queue() {
  const working = useQuery(diagnosis())
  const waiting = useQuery(queue({ limit: 100 }))
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
        <Loaded query={waiting}>{({ items }) => <Waiting entries={items} />}</Loaded>
      </Card>
      <Card title="The next 24 hours" flush>
        <Loaded query={ahead}>{(found) => <Lanes ahead={found} />}</Loaded>
      </Card>
      <Card title="Schedules" flush aside={<Add word="New schedule" needs="deployer">{(close) => <EditSchedule close={close} />}</Add>}>
        <Loaded query={repeated}>{(found) => <Schedules schedules={found} />}</Loaded>
      </Card>
      <Card title="Deploy windows and freezes" flush aside={<Add word="New rule" needs="admin">{(close) => <AddWindow close={close} />}</Add>}>
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

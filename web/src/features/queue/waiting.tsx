// What waits: its place, why it waits, when it probably begins; and how to change that, keyboard first.
import { useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ArrowDown, ArrowUp, ArrowUpToLine, CalendarClock, Ellipsis } from 'lucide-react'
import { Suspense, lazy, useRef, useState } from 'react'
import { cancel, move } from '@/api/actions'
import { Intention } from '@/api/keys'
import type { Entry, Place, Priority } from '@/api/schema'
import { sentence } from '@/api/errors'
import { useMay } from '@/api/use-me'
import { to } from '@/paths'
import { useHome } from '@/preferences'
import { Button } from '@/ui/button'
import { useConfirm } from '@/ui/confirm'
import { clock } from '@/ui/format'
import { Menu, MenuItem, MenuLine } from '@/ui/menu'
import { Empty } from '@/ui/states'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'

const Reschedule = lazy(() => import('./reschedule'))

const PRIORITY: Record<Priority, string> = { critical: 'Critical', high: 'High', normal: 'Normal', low: 'Low' }

export function Waiting({ entries }: { entries: Entry[] }) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const may = useMay()
  const intention = useRef(new Intention())
  // Says to who hears the page where a moved entry ended up.
  const [said, setSaid] = useState('')
  const [changing, setChanging] = useState<Entry>()
  if (entries.length === 0) return <Empty title="Nothing waits">A deployment that can’t begin at once stands here, with the reason.</Empty>

  const moveTo = async (entry: Entry, place: Place) => {
    try {
      const moved = await move(entry.deployment, place, intention.current.keyFor([entry.deployment, entry.position, place]))
      intention.current.answered()
      setSaid(`${entry.app} / ${entry.environment} is now at position ${moved.position}`)
      await client.invalidateQueries({ queryKey: ['queue'] })
    } catch (error) {
      toast.fail(error)
    }
  }
  const askCancel = (entry: Entry) =>
    confirm({
      title: 'Take it out of the queue?',
      will: [`The deployment of ${entry.app} to ${entry.environment} ends as cancelled before it began.`, 'What serves there stays as it is.'],
      action: 'Cancel the deployment',
      danger: true,
      run: async () => {
        await cancel(entry.deployment, intention.current.keyFor(['cancel', entry.deployment]))
        await client.invalidateQueries({ queryKey: ['queue'] })
      },
    })

  const columns: Column<Entry>[] = [
    { head: '#', phone: 'hidden', className: 'w-10 tabular text-muted', cell: ({ position }) => position },
    {
      head: 'Deployment',
      phone: 'title',
      cell: ({ deployment, app, environment, requested_by }) => (
        <span>
          <Link {...to.deployment(deployment)} className="touch font-semibold hover:underline">
            {app} / {environment}
          </Link>
          <span className="block text-sm text-muted">by {requested_by}</span>
        </span>
      ),
    },
    { head: 'Waits for', className: 'sm:max-w-80', cell: (entry) => <span className="max-sm:text-right"><WaitsFor entry={entry} /></span> },
    { head: 'Priority', cell: ({ priority }) => (priority === 'normal' ? <span className="text-muted">Normal</span> : <strong>{PRIORITY[priority]}</strong>) },
    { head: 'Begins', cell: (entry) => <Begins entry={entry} /> },
    { head: 'Queued', right: true, cell: ({ enqueued_at }) => <Time at={enqueued_at} className="text-muted" /> },
    {
      head: <span className="sr-only">Actions</span>,
      right: true,
      cell: (entry) => {
        const at = entries.indexOf(entry)
        const before = entries[at - 1]
        const behind = entries[at + 1]
        const name = `${entry.app} / ${entry.environment}`
        const reason = may('deployer', entry.app)
        return (
          <span className="inline-flex grow items-center justify-end gap-0.5">
            <Button
              look="quiet"
              size="icon"
              aria-label={`Move ${name} up`}
              disabledReason={reason ?? (before ? undefined : entry.position > 1 ? 'The one before it is on another page' : 'It is the first')}
              onClick={() => before && void moveTo(entry, { place: 'before', deployment: before.deployment })}
            >
              <ArrowUp aria-hidden />
            </Button>
            <Button
              look="quiet"
              size="icon"
              aria-label={`Move ${name} down`}
              disabledReason={reason ?? (behind ? undefined : 'It is the last of this page')}
              onClick={() => behind && void moveTo(entry, { place: 'behind', deployment: behind.deployment })}
            >
              <ArrowDown aria-hidden />
            </Button>
            <Menu
              trigger={
                <Button look="quiet" size="icon" aria-label={`More for ${name}`}>
                  <Ellipsis aria-hidden />
                </Button>
              }
            >
              <MenuItem disabledReason={reason} onClick={() => void moveTo(entry, { place: 'first' })}>
                <ArrowUpToLine aria-hidden /> To the front
              </MenuItem>
              <MenuItem disabledReason={reason} onClick={() => setChanging(entry)}>
                <CalendarClock aria-hidden /> Time and priority
              </MenuItem>
              <MenuLine />
              <MenuItem disabledReason={reason} onClick={() => askCancel(entry)}>
                Cancel the deployment
              </MenuItem>
            </Menu>
          </span>
        )
      },
    },
  ]
  return (
    <>
      <Table label="Deployments that wait" columns={columns} rows={entries} id={({ deployment }) => deployment} />
      <p className="sr-only" role="status">
        {said}
      </p>
      {changing ? (
        <Suspense fallback={null}>
          <Reschedule entry={changing} close={() => setChanging(undefined)} />
        </Suspense>
      ) : null}
    </>
  )
}

/** Why it has not begun. */
function WaitsFor({ entry: { waiting, waiting_for } }: { entry: Entry }) {
  if (waiting.kind === 'behind_in_environment') {
    return (
      <Link {...to.deployment(waiting.by)} className="text-accent hover:underline">
        An earlier deployment of the same environment
      </Link>
    )
  }
  if (waiting.kind === 'approval') {
    return (
      <Link {...to.approvals()} className="text-accent hover:underline">
        {sentence(waiting_for)}
      </Link>
    )
  }
  return sentence(waiting_for)
}

function Begins({ entry: { estimate, not_before: ordered } }: { entry: Entry }) {
  const home = useHome()
  if (ordered) return <Time at={ordered} absolute />
  if (!estimate) return <span className="text-muted">not known</span>
  return (
    <span>
      <Time at={estimate.at} />
      <span className="block text-sm text-muted tabular">
        {clock(estimate.early, home)} to {clock(estimate.late, home)}
      </span>
    </span>
  )
}

// Deployments that repeat: when, in whose clocks, what came of the last run.
import { useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { CirclePause, CirclePlay, Ellipsis } from 'lucide-react'
import { Suspense, lazy, useRef, useState } from 'react'
import { removeSchedule, updateSchedule } from '@/api/actions'
import { sentence } from '@/api/errors'
import { Intention } from '@/api/keys'
import type { Schedule } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { to } from '@/paths'
import { useHome } from '@/preferences'
import { Button } from '@/ui/button'
import { Code } from '@/ui/code'
import { useConfirm } from '@/ui/confirm'
import { exact } from '@/ui/format'
import { Menu, MenuItem, MenuLine } from '@/ui/menu'
import { Empty } from '@/ui/states'
import { Status } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'
import { inWords, zoneOf } from './cron'

const EditSchedule = lazy(() => import('./edit'))

export function Schedules({ schedules }: { schedules: Schedule[] }) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const may = useMay()
  const home = useHome()
  const intention = useRef(new Intention())
  const [editing, setEditing] = useState<Schedule>()
  const refresh = () => Promise.all([['schedules'], ['queue']].map((queryKey) => client.invalidateQueries({ queryKey })))

  const turn = async ({ id, name, enabled }: Schedule) => {
    try {
      await updateSchedule(id, { enabled: !enabled }, intention.current.keyFor([id, enabled]))
      intention.current.answered()
      await refresh()
      toast.show({ tone: 'good', title: enabled ? `${name} does not run any more, until it is let again.` : `${name} runs again.` })
    } catch (error) {
      toast.fail(error)
    }
  }
  const remove = ({ id, name, app, environment }: Schedule) =>
    confirm({
      title: `Remove the schedule ${name}?`,
      will: [`${app} / ${environment} is not deployed by it any more.`, 'Deployments that it has made stay as they are.'],
      action: 'Remove',
      danger: true,
      run: async () => {
        await removeSchedule(id, intention.current.keyFor(['remove', id]))
        await refresh()
        toast.show({ tone: 'good', title: `The schedule ${name} is removed.` })
      },
    })

  if (schedules.length === 0) {
    return <Empty title="Nothing is deployed by the clock">A schedule deploys an environment again and again, such as each night with what is newest by then.</Empty>
  }
  const columns: Column<Schedule>[] = [
    {
      head: 'Schedule',
      phone: 'title',
      cell: ({ name, app, environment }) => (
        <span>
          <span className="font-semibold">{name}</span>
          <Link {...to.environment(app, environment)} className="touch block text-sm text-muted hover:underline">
            {app} / {environment}
          </Link>
        </span>
      ),
    },
    {
      head: 'Runs',
      cell: ({ cron, order }) => (
        <span className="max-sm:text-right">
          {inWords(cron)}
          <span className="block text-sm text-muted">
            {zoneOf(cron)}
            {order.reference ? (
              <>
                , from <Code>{order.reference}</Code>
              </>
            ) : null}
          </span>
        </span>
      ),
    },
    { head: 'Next', cell: (row) => <Next schedule={row} home={home} /> },
    { head: 'Last', cell: (row) => <Last schedule={row} /> },
    {
      head: 'State',
      cell: ({ enabled }) => (
        <Status standing={enabled ? { tone: 'good', word: 'Runs', icon: CirclePlay } : { tone: 'idle', word: 'Paused', icon: CirclePause }} />
      ),
    },
    {
      head: <span className="sr-only">Actions</span>,
      right: true,
      cell: (row) => {
        const off = may('deployer', row.app)
        return (
          <Menu
            trigger={
              <Button look="quiet" size="icon" aria-label={`More for the schedule ${row.name}`}>
                <Ellipsis aria-hidden />
              </Button>
            }
          >
            <MenuItem disabledReason={off} onClick={() => setEditing(row)}>
              Change
            </MenuItem>
            <MenuItem disabledReason={off} onClick={() => void turn(row)}>
              {row.enabled ? 'Pause' : 'Let it run'}
            </MenuItem>
            <MenuLine />
            <MenuItem disabledReason={off} onClick={() => remove(row)}>
              Remove
            </MenuItem>
          </Menu>
        )
      },
    },
  ]
  return (
    <>
      <Table label="Schedules" columns={columns} rows={schedules} id={({ id }) => id} />
      {editing ? (
        <Suspense fallback={null}>
          <EditSchedule schedule={editing} close={() => setEditing(undefined)} />
        </Suspense>
      ) : null}
    </>
  )
}

/** The next run in the reader's clocks, and in those of the schedule where they are others. */
function Next({ schedule: { upcoming, cron }, home }: { schedule: Schedule; home: string }) {
  const [next, ...later] = upcoming
  if (next === undefined) return <span className="text-muted">–</span>
  const zone = zoneOf(cron)
  return (
    <span className="max-sm:text-right">
      <Time at={next} absolute />
      {zone === home ? null : (
        <span className="block text-sm text-muted">
          {exact(next, zone)} in {zone}
        </span>
      )}
      {later.length > 0 ? (
        <details className="text-sm">
          <summary className="touch text-accent hover:underline">and {later.length} more</summary>
          <ul>
            {later.map((at) => (
              <li key={at}>
                <Time at={at} absolute />
              </li>
            ))}
          </ul>
        </details>
      ) : null}
    </span>
  )
}

function Last({ schedule: { last_run: last } }: { schedule: Schedule }) {
  if (!last) return <span className="text-muted">never</span>
  return (
    <span className="max-sm:text-right sm:block sm:max-w-72">
      <Time at={last.at} className="text-muted" />
      {last.outcome === 'deployed' ? (
        <Link {...to.deployment(last.deployment)} className="touch block text-sm text-accent hover:underline">
          its deployment
        </Link>
      ) : (
        <span className="block text-sm">
          {last.outcome === 'skipped' ? 'Skipped: ' : 'Failed: '}
          {sentence(last.why)}
        </span>
      )}
    </span>
  )
}

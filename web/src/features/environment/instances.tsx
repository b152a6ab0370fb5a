import { CircleCheck, CircleX, LoaderCircle, TriangleAlert } from 'lucide-react'
import type { InstanceStatus } from '@/api/schema'
import { Card } from '@/ui/card'
import { Empty } from '@/ui/states'
import { type Standing, Status } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'

const STATES: Record<InstanceStatus['state'], Standing> = {
  starting: { tone: 'busy', word: 'Starting', icon: LoaderCircle, moving: true },
  running: { tone: 'good', word: 'Running', icon: CircleCheck },
  backoff: { tone: 'warn', word: 'Restarting', icon: TriangleAlert },
  crash_loop: { tone: 'bad', word: 'Crash loop', icon: CircleX },
  stopped: { tone: 'bad', word: 'Stopped', icon: CircleX },
  lost: { tone: 'bad', word: 'Lost', icon: CircleX },
}

const columns: Column<InstanceStatus>[] = [
  {
    head: 'Component',
    phone: 'title',
    cell: ({ component, index }) => (
      <span className="font-medium">
        {component}
        {index > 0 ? <span className="text-muted"> {index + 1}</span> : null}
      </span>
    ),
  },
  {
    head: 'State',
    cell: (instance) => (
      <span>
        <Status standing={STATES[instance.state]} />
        {'last_exit' in instance ? <span className="block text-sm text-muted">{instance.last_exit}</span> : null}
      </span>
    ),
  },
  { head: 'Since', cell: (instance) => ('since' in instance ? <Time at={instance.since} className="text-muted" /> : <span className="text-muted">–</span>) },
  {
    head: 'Restarts',
    right: true,
    cell: ({ restarts }) => <span className={restarts > 0 ? 'font-medium text-warn' : undefined}>{restarts}</span>,
  },
]

export const Instances = ({ instances }: { instances: InstanceStatus[] }) => (
  <Card title="Instances" flush>
    {instances.length === 0 ? (
      <Empty title="No processes">Static files need none; others are started by a deployment.</Empty>
    ) : (
      <Table label="Instances" columns={columns} rows={instances} id={({ component, index, deployment }) => `${deployment} ${component} ${index}`} />
    )}
  </Card>
)

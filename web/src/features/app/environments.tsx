// The environments of an app: made, ended, and what becomes of those that wait when a newer deployment comes.
import { useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Plus, Trash2 } from 'lucide-react'
import { Suspense, lazy, useState } from 'react'
import { deleteEnvironment } from '@/api/apps'
import { newKey } from '@/api/keys'
import type { AppDetail, Environment, Supersede } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { useConfirm } from '@/ui/confirm'
import { Empty } from '@/ui/states'
import { type Column, Table } from '@/ui/table'
import { useToast } from '@/ui/toast'
import { endsWithEnvironment, held } from './end'

const AddEnvironment = lazy(() => import('./add-environment'))
const EditSupersede = lazy(() => import('./edit-supersede'))

const NEWER: Record<Supersede, string> = { run_all: 'each of them runs', skip_queued: 'the newest of a branch runs' }

export function Environments({ app }: { app: AppDetail }) {
  const may = useMay()
  const [adding, setAdding] = useState(false)
  const [editing, setEditing] = useState<Environment>()
  const remove = useDelete(app.name)
  const off = may('admin', app.name)
  const columns: Column<Environment>[] = [
    {
      head: 'Environment',
      phone: 'title',
      cell: ({ name }) => (
        <Link {...to.environment(app.name, name)} className="touch font-semibold hover:underline">
          {name}
        </Link>
      ),
    },
    { head: 'Serves', cell: ({ active }) => (active ? <span className="tabular">v{active.release_number}</span> : <span className="text-muted">nothing yet</span>) },
    { head: 'Machine', cell: ({ host }) => <span className="text-sm break-all text-muted">{host}</span> },
    { head: 'Of those that wait', cell: ({ supersede }) => NEWER[supersede] },
    {
      head: <span className="sr-only">Actions</span>,
      right: true,
      cell: (environment) => (
        <span className="inline-flex grow items-center justify-end gap-1">
          <Button look="quiet" size="sm" disabledReason={off} onClick={() => setEditing(environment)} aria-label={`Change what runs of those that wait for ${environment.name}`}>
            Change
          </Button>
          <Button
            look="quiet"
            size="icon"
            aria-label={`Delete ${environment.name}`}
            disabledReason={may('owner', app.name) ?? held([environment])}
            onClick={() => remove(environment)}
          >
            <Trash2 aria-hidden />
          </Button>
        </span>
      ),
    },
  ]
  return (
    <Card
      title="Environments"
      flush
      aside={
        <Button size="sm" disabledReason={off} onClick={() => setAdding(true)}>
          <Plus aria-hidden /> New environment
        </Button>
      }
    >
      {app.environments.length === 0 ? (
        <Empty title="No environment yet">The first deployment makes production. One made before can have its variables first.</Empty>
      ) : (
        <Table label={`Environments of ${app.name}`} columns={columns} rows={app.environments} id={({ id }) => id} />
      )}
      <Suspense fallback={null}>
        {adding ? <AddEnvironment app={app} close={() => setAdding(false)} /> : null}
        {editing ? <EditSupersede environment={editing} close={() => setEditing(undefined)} /> : null}
      </Suspense>
    </Card>
  )
}

function useDelete(app: string) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  return (environment: Environment) =>
    confirm({
      title: `Delete ${app} / ${environment.name}?`,
      will: endsWithEnvironment(environment),
      action: 'Delete',
      danger: true,
      type: environment.name,
      run: async () => {
        await deleteEnvironment(app, environment.name, newKey())
        await Promise.all([['apps'], ['overview']].map((queryKey) => client.invalidateQueries({ queryKey })))
        toast.show({ tone: 'good', title: `${app} / ${environment.name} is deleted.` })
      },
    })
}

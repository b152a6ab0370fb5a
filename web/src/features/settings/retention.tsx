// How long things are kept: of the server, or of one app; and what is old enough to go now.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Suspense, lazy, useState } from 'react'
import { newKey } from '@/api/keys'
import { retention } from '@/api/queries'
import type { RetentionPolicy } from '@/api/schema'
import { setRetention } from '@/api/upkeep'
import { useMay } from '@/api/use-me'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Card, Facts } from '@/ui/card'
import { useConfirm } from '@/ui/confirm'
import { plural } from '@/ui/format'
import { Loaded } from '@/ui/states'
import { useToast } from '@/ui/toast'
import { spanInWords } from './spans'

const EditRetention = lazy(() => import('./edit-retention'))
const SweepNow = lazy(() => import('./sweep'))

export function Retention({ app }: { app?: string }) {
  const may = useMay()
  const query = useQuery(retention(app))
  const [open, setOpen] = useState<'edit' | 'sweep'>()
  const reset = useReset(app)
  const off = may('admin', app)
  const policy = query.data
  const own = policy !== undefined && Object.values(policy.set).some((value) => value !== undefined && value !== null)
  const close = () => setOpen(undefined)
  return (
    <Card
      title="How long things are kept"
      aside={
        <span className="flex flex-wrap gap-2">
          {app === undefined ? (
            <Button size="sm" look="quiet" onClick={() => setOpen('sweep')}>
              What is old enough
            </Button>
          ) : null}
          {own ? (
            <Button size="sm" look="quiet" disabledReason={off} onClick={reset}>
              Forget it<span className="sr-only">: how long things are kept</span>
            </Button>
          ) : null}
          <Button size="sm" disabledReason={off ?? (policy ? undefined : 'It is not known yet what holds')} onClick={() => setOpen('edit')}>
            Change<span className="sr-only"> how long things are kept</span>
          </Button>
        </span>
      }
    >
      <Loaded query={query}>{(found) => <Shown policy={found} own={own} />}</Loaded>
      <Suspense fallback={null}>
        {open === 'edit' && policy ? <EditRetention policy={policy} close={close} /> : null}
        {open === 'sweep' ? <SweepNow close={close} /> : null}
      </Suspense>
    </Card>
  )
}

function Shown({ policy: { app, keep, apps = [] }, own }: { policy: RetentionPolicy; own: boolean }) {
  return (
    <div className="flex flex-col gap-3">
      <Facts
        facts={[
          ['Files of releases', `of the last ${plural(keep.releases, 'release')} that served well in each environment`],
          ['Output', spanInWords(keep.outputs)],
          ['Events', spanInWords(keep.events)],
          ['Deployments', spanInWords(keep.deployments)],
        ]}
      />
      {app ? <p className="text-sm text-muted">{own ? `${app} has settings of its own; the rest is the server’s.` : 'As the server has it.'}</p> : null}
      {apps.length > 0 ? (
        <p className="text-sm text-muted">
          With settings of their own:{' '}
          {apps.map((name, index) => (
            <span key={name}>
              {index > 0 ? ', ' : ''}
              <Link {...to.appSettings(name)} className="touch text-accent hover:underline">
                {name}
              </Link>
            </span>
          ))}
        </p>
      ) : null}
    </div>
  )
}

function useReset(app?: string) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  return () =>
    confirm({
      title: app ? `Forget how long things of ${app} are kept?` : 'Forget how long things are kept?',
      will: [
        app ? 'What the server’s settings say holds from now on.' : 'What is usual holds from now on, for all apps without settings of their own.',
        'What is older than that is removed within an hour, and can’t be brought back.',
      ],
      action: 'Forget it',
      danger: true,
      run: async () => {
        await setRetention({ app, reset: true }, newKey())
        await client.invalidateQueries({ queryKey: ['retention'] })
        toast.show({ tone: 'good', title: app ? `${app} keeps things as long as the server says.` : 'Things are kept as long as usual.' })
      },
    })
}

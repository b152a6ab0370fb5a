// When a deployment is taken for stalled, and what is done then: of the server, or of one app.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Suspense, lazy, useState } from 'react'
import { newKey } from '@/api/keys'
import type { Phase, Remedy, StallLimits } from '@/api/schema'
import { setStalls, stalls } from '@/api/upkeep'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { Card, Facts } from '@/ui/card'
import { useConfirm } from '@/ui/confirm'
import { Loaded } from '@/ui/states'
import { phaseWord } from '@/ui/status'
import { useToast } from '@/ui/toast'
import { spanInWords } from './spans'

const EditStalls = lazy(() => import('./edit-stalls'))

const THEN: Record<Remedy, string> = {
  report: 'It is told of, and nothing is done by itself',
  fail: 'It is taken back, and has failed',
  resume: 'Its step is run again',
}

export function Stalls({ app }: { app?: string }) {
  const query = useQuery(stalls(app))
  const off = useMay()('admin', app)
  const [editing, setEditing] = useState(false)
  const reset = useReset(app)
  const limits = query.data
  return (
    <Card
      title="When a deployment is stalled"
      aside={
        <span className="flex flex-wrap gap-2">
          {limits?.own ? (
            <Button size="sm" look="quiet" disabledReason={off} onClick={reset}>
              Forget it<span className="sr-only">: when a deployment is stalled</span>
            </Button>
          ) : null}
          <Button size="sm" disabledReason={off ?? (limits ? undefined : 'It is not known yet what holds')} onClick={() => setEditing(true)}>
            Change<span className="sr-only"> when a deployment is stalled</span>
          </Button>
        </span>
      }
    >
      <Loaded query={query}>{(found) => <Shown limits={found} />}</Loaded>
      {editing && limits ? (
        <Suspense fallback={null}>
          <EditStalls limits={limits} close={() => setEditing(false)} />
        </Suspense>
      ) : null}
    </Card>
  )
}

function Shown({ limits: { app, own, policy } }: { limits: StallLimits }) {
  const phases = Object.entries(policy.phases ?? {})
  return (
    <div className="flex flex-col gap-3">
      <Facts
        facts={[
          ['No step, no line', `for ${spanInWords(policy.silence ?? '')}`],
          ...phases.map(([phase, span]): [string, string] => [phaseWord(phase as Phase), `for ${spanInWords(span)}`]),
          ['No server heard', `for ${spanInWords(policy.heartbeat ?? '')}`],
          ['Then', THEN[policy.then ?? 'report']],
        ]}
      />
      {app ? <p className="text-sm text-muted">{own ? `Set for ${app} alone.` : 'As the server has it.'}</p> : null}
    </div>
  )
}

function useReset(app?: string) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  return () =>
    confirm({
      title: app ? `Forget the limits of ${app}?` : 'Forget these limits?',
      will: [app ? 'Those of the server hold from now on, for what is at work, too.' : 'The usual ones hold from now on, for all apps without limits of their own and what is at work there, too.'],
      action: 'Forget them',
      run: async () => {
        await setStalls({ app, reset: true }, newKey())
        await client.invalidateQueries({ queryKey: ['stalls'] })
        toast.show({ tone: 'good', title: app ? `For ${app} the server’s limits hold.` : 'The usual limits hold.' })
      },
    })
}

// Whether deployments to an environment wait for the yes of others, and whose.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Suspense, lazy, useRef, useState } from 'react'
import { approvalPolicies, removeApprovalPolicy } from '@/api/approvals'
import { Intention } from '@/api/keys'
import { useMay } from '@/api/use-me'
import { roleWord } from '@/features/people/roles'
import { Button } from '@/ui/button'
import { Card, Facts } from '@/ui/card'
import { useConfirm } from '@/ui/confirm'
import { Loaded } from '@/ui/states'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'
import { lifetimeInWords } from './words'

const EditPolicy = lazy(() => import('./edit-policy'))

export function Policy({ app, environment }: { app: string; environment: string }) {
  const query = useQuery(approvalPolicies(app))
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const off = useMay()('admin', app)
  const intention = useRef(new Intention())
  const [editing, setEditing] = useState(false)
  const policy = query.data?.find((known) => known.environment === environment)
  const remove = () =>
    confirm({
      title: `Ask nobody about ${environment} any more?`,
      will: [`Deployments to ${app} / ${environment} begin without anybody’s approval from now on.`, 'What waits already goes on waiting as it was asked for.'],
      action: 'Ask nobody',
      danger: true,
      run: async () => {
        await removeApprovalPolicy(app, environment, intention.current.keyFor(['remove', app, environment, policy?.changed_at]))
        await client.invalidateQueries(approvalPolicies(app))
        toast.show({ tone: 'good', title: `Deployments to ${environment} wait for nobody any more.` })
      },
    })
  return (
    <Card
      title="Approval"
      aside={
        <span className="flex gap-2">
          {policy ? (
            <Button look="quiet" size="sm" disabledReason={off} onClick={remove}>
              Ask nobody
            </Button>
          ) : null}
          <Button size="sm" disabledReason={off ?? (query.data ? undefined : 'It is not known yet what holds')} onClick={() => setEditing(true)}>
            {policy ? 'Change' : 'Ask for approval'}
          </Button>
        </span>
      }
    >
      <Loaded query={query}>
        {() =>
          policy ? (
            <Facts
              facts={[
                ['Asked', `${policy.required === 1 ? 'one person' : `${policy.required} people`}, ${roleWord[policy.role].toLowerCase()} or more of ${app}; never who ordered it`],
                ['Rollbacks', policy.rollbacks ? 'wait, too' : 'don’t wait'],
                ['Past closed windows', policy.bypasses ? 'are asked about' : 'are not asked about'],
                ['Votes may take', lifetimeInWords(policy.expires_in)],
                ['Changed', <span key="changed">by {policy.changed_by}, <Time at={policy.changed_at} /></span>],
              ]}
            />
          ) : (
            <p className="text-muted">Deployments begin without anybody else’s approval.</p>
          )
        }
      </Loaded>
      {editing ? (
        <Suspense fallback={null}>
          <EditPolicy app={app} environment={environment} policy={policy} close={() => setEditing(false)} />
        </Suspense>
      ) : null}
    </Card>
  )
}

import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { CircleStop, Play, RotateCw } from 'lucide-react'
import { useRef } from 'react'
import { abandon, cancel, deploy, resume } from '@/api/actions'
import { Intention } from '@/api/keys'
import { app, deployment as deploymentQuery, environment } from '@/api/queries'
import type { Deployment } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { RollbackButton } from '@/features/rollback/rollback'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { useConfirm } from '@/ui/confirm'
import { hasEnded } from '@/ui/status'

/** What can be done with a deployment, in the state in which it is. */
export function DeploymentActions({ deployment }: { deployment: Deployment }) {
  const { id, app: name, environment: place } = deployment
  const confirm = useConfirm()
  const client = useQueryClient()
  const navigate = useNavigate()
  const may = useMay()
  const intention = useRef(new Intention())
  const { data: target } = useQuery(environment(name, place))
  const { data: of } = useQuery(app(name))
  const notAllowed = may('deployer', name)
  const update = (changed: Deployment) => client.setQueryData(deploymentQuery(id).queryKey, changed)
  const serves = target?.active?.deployment === id

  const askCancel = () =>
    confirm({
      title: 'Cancel this deployment?',
      will: [
        <>What it has done so far is taken back, and {name} / {place} stays as it is for visitors.</>,
        target?.active ? <>v{target.active.release_number} keeps serving.</> : 'Nothing serves there before or after.',
      ],
      action: 'Cancel the deployment',
      danger: true,
      run: async () => update(await cancel(id, intention.current.keyFor(['cancel', id]))),
    })
  const askResume = () =>
    confirm({
      title: 'Go on with this deployment?',
      will: ['The stage at which it stopped is tried again.', 'It can stop there again if the reason is still there.'],
      action: 'Go on',
      run: async () => update(await resume(id, intention.current.keyFor(['resume', id, deployment.updated_at]))),
    })
  const askAbandon = () =>
    confirm({
      title: 'Abandon this deployment?',
      will: [
        'It ends as it is. What it has done is not taken back.',
        target?.active ? <>v{target.active.release_number} keeps serving, or serves again.</> : 'Nothing serves there afterwards.',
        'What it leaves and nothing needs is removed within a few minutes; the next deployment can begin at once.',
      ],
      action: 'Abandon the deployment',
      danger: true,
      run: async () => update(await abandon(id, intention.current.keyFor(['abandon', id, deployment.updated_at]))),
    })
  const order: { reference?: string } =
    deployment.source && deployment.kind === 'deploy' ? { reference: deployment.metadata.reference ?? undefined } : {}
  const askAgain = () =>
    confirm({
      title: 'Deploy again?',
      will: [
        <>
          {name} / {place} gets what {order.reference ?? 'its source'} has now.
        </>,
        'What serves keeps serving until the new release answers.',
      ],
      action: 'Deploy',
      run: async () => {
        const next = await deploy(name, place, order, intention.current.keyFor(['again', id, order]))
        intention.current.answered()
        await navigate(to.deployment(next.id))
      },
    })

  if (deployment.stuck) {
    return (
      <>
        <Button look="primary" onClick={askResume} disabledReason={notAllowed}>
          <Play aria-hidden /> Go on
        </Button>
        <Button onClick={askAbandon} disabledReason={notAllowed}>
          <CircleStop aria-hidden /> Abandon
        </Button>
      </>
    )
  }
  if (!hasEnded(deployment.phase)) {
    return (
      <Button onClick={askCancel} disabledReason={notAllowed ?? (deployment.cancelling ? 'It is being cancelled already' : undefined)}>
        <CircleStop aria-hidden /> Cancel
      </Button>
    )
  }
  return (
    <>
      {deployment.kind === 'deploy' && deployment.phase !== 'active' ? (
        <Button look="primary" onClick={askAgain} disabledReason={notAllowed ?? (of?.source ? undefined : 'The app has no source of its own')}>
          <RotateCw aria-hidden /> Deploy again
        </Button>
      ) : null}
      {serves && target ? <RollbackButton environment={target} /> : null}
    </>
  )
}

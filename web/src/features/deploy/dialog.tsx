// The order of a deployment: filled in, looked at as a plan if one likes, then deployed, exactly as it was seen.
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { Eye, Rocket } from 'lucide-react'
import { useState } from 'react'
import { deploy } from '@/api/actions'
import { approvalPolicies } from '@/api/approvals'
import { ApiError, explain } from '@/api/errors'
import { newKey } from '@/api/keys'
import { createPlan } from '@/api/plans'
import { windows } from '@/api/queries'
import type { App, Plan } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { lifetimeInWords } from '@/features/approvals/words'
import { roleWord } from '@/features/people/roles'
import { blocking } from '@/features/promotion/ends'
import { type Held, heldBy } from '@/features/windows/held'
import { to } from '@/paths'
import { useHome } from '@/preferences'
import { Button } from '@/ui/button'
import { CloseButton, Dialog } from '@/ui/dialog'
import { useForm } from '@/ui/form'
import { plural } from '@/ui/format'
import { Note } from '@/ui/note'
import { Time } from '@/ui/time'
import { OrderFields } from './fields'
import { asUsual, orderOf, wrongIn } from './order'
import { PlanView } from './plan'
import { SourceWords } from './source'

export default function DeployDialog({ app, environment, close }: { app: App; environment: string; close(): void }) {
  const navigate = useNavigate()
  const may = useMay()
  const home = useHome()
  const rules = useQuery(windows({ app: app.name, environment }))
  const held = heldBy(rules.data ?? [], app.name, environment)
  const [plan, setPlan] = useState<Plan>()
  const [planning, setPlanning] = useState(false)
  const [error, setError] = useState<unknown>()
  const form = useForm({
    initial: asUsual(home),
    check: (wanted) => wrongIn(wanted),
    submit: async (wanted, key) => {
      const { id } = await deploy(app.name, environment, orderOf(wanted), key)
      close()
      await navigate(to.deployment(id))
    },
  })
  const { values, set } = form
  const busy = form.busy || planning
  const see = async () => {
    setPlanning(true)
    setError(undefined)
    const reference = values.reference.trim()
    try {
      // Each look is a new one: the world may have changed since the last.
      const made = await createPlan(app.name, environment, reference === '' ? {} : { reference }, newKey())
      setPlan(made)
      form.reset({ ...values, plan: made.digest })
    } catch (caught) {
      setError(caught)
    } finally {
      setPlanning(false)
    }
  }
  const back = () => {
    setPlan(undefined)
    form.reset({ ...values, plan: '' })
  }
  const trouble = error === undefined ? form.trouble : unseen(error, environment)
  const fails = blocking(plan?.findings ?? []).length > 0
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : close())}
      busy={busy}
      title={plan ? `What deploying ${app.name} to ${environment} would do` : `Deploy ${app.name} to ${environment}`}
      description={plan ? undefined : app.source ? <SourceWords source={app.source} /> : undefined}
      className={plan ? 'sm:w-[48rem]' : undefined}
      actions={
        plan ? (
          <>
            <Button onClick={back} disabledReason={busy ? 'It is on its way' : undefined}>
              Back to the order
            </Button>
            <Button onClick={() => void see()} busy={planning} disabledReason={form.busy ? 'It is on its way' : undefined}>
              Look again
            </Button>
            <Button
              look="primary"
              busy={form.busy}
              disabledReason={planning ? 'It is being looked at again' : fails ? 'It would fail: what has to be done before stands above' : undefined}
              onClick={() => form.onSubmit()}
            >
              <Rocket aria-hidden /> Deploy exactly this
            </Button>
          </>
        ) : (
          <>
            <CloseButton>Not now</CloseButton>
            <Button busy={planning} disabledReason={form.busy ? 'It is being deployed' : undefined} onClick={() => void see()}>
              <Eye aria-hidden /> See what it would do
            </Button>
            <Button look="primary" type="submit" form="deploy" busy={form.busy} disabledReason={planning ? 'It is being looked at' : undefined}>
              <Rocket aria-hidden /> Deploy
            </Button>
          </>
        )
      }
    >
      <div className="flex flex-col gap-4">
        {plan ? <PlanView plan={plan} /> : null}
        <Asked app={app.name} environment={environment} past={values.priority === 'critical' && values.bypass_window.trim() !== ''} />
        {held ? (
          <HeldNote
            held={held}
            environment={environment}
            past={values.priority === 'critical'}
            off={may('admin', app.name)}
            goPast={plan ? undefined : () => set('priority', 'critical')}
          />
        ) : null}
        {plan ? null : (
          <form id="deploy" onSubmit={form.onSubmit} noValidate className="flex flex-col gap-4">
            <OrderFields app={app} form={form} home={home} />
          </form>
        )}
        {plan ? null : (
          <p className="text-sm text-muted">What serves now keeps serving until the new release answers. If it does not, nothing changes for visitors.</p>
        )}
        {trouble ? (
          <Note tone="bad" urgent title={trouble.detail}>
            {trouble.hint}
          </Note>
        ) : null}
      </div>
    </Dialog>
  )
}

/** Why it can't be looked at. */
function unseen(error: unknown, environment: string) {
  if (!(error instanceof ApiError && error.is('not_found'))) return explain(error)
  return { detail: `${environment} is not there yet: there is nothing that it could be compared with.`, hint: 'Its first deployment makes it.' }
}

/** Whose yes it would wait for. */
function Asked({ app, environment, past }: { app: string; environment: string; past: boolean }) {
  const { data } = useQuery(approvalPolicies(app))
  const policy = data?.find((known) => known.environment === environment)
  if (!policy) return null
  const people = policy.required === 1 ? 'one person' : plural(policy.required, 'person', 'people')
  return (
    <Note tone="idle" title={`It waits until ${people} approved of it.`}>
      {roleWord[policy.role]} or more of {app}, never you who order it, within {lifetimeInWords(policy.expires_in)}.
      {past && policy.bypasses ? ' That it goes past a closed window is asked about, too.' : ''}
    </Note>
  )
}

function HeldNote({ held, environment, past, off, goPast }: { held: Held; environment: string; past: boolean; off?: string; goPast?(): void }) {
  return (
    <Note
      tone="warn"
      title={`Deployments to ${environment} are held now ${held.why}`}
      actions={
        past || !goPast ? undefined : (
          <Button size="sm" disabledReason={off} onClick={goPast}>
            Go past it
          </Button>
        )
      }
    >
      {past ? 'With a reason below it begins all the same, and that stays on record.' : 'Deployed now, it waits in the queue'}
      {past ? null : held.until ? (
        <>
          {' '}
          until <Time at={held.until} absolute />.
        </>
      ) : (
        ' until that ends.'
      )}
    </Note>
  )
}

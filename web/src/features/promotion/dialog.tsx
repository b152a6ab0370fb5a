// A promotion: the comparison first, then the button. What speaks against it must be answered with a reason.
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { ArrowUpFromLine } from 'lucide-react'
import { useRef, useState } from 'react'
import { promote } from '@/api/actions'
import { ApiError, explain } from '@/api/errors'
import { Intention } from '@/api/keys'
import { promotionPlan } from '@/api/queries'
import type { AppDetail, PromotionReport } from '@/api/schema'
import { to as links } from '@/paths'
import { Button } from '@/ui/button'
import { CloseButton, Dialog } from '@/ui/dialog'
import { Field, Input, Select } from '@/ui/field'
import { plural } from '@/ui/format'
import { Note } from '@/ui/note'
import { Loaded } from '@/ui/states'
import { blocking, likely } from './ends'
import { Report } from './report'

export default function PromoteDialog({ app, from, close }: { app: AppDetail; from: string; close(): void }) {
  const navigate = useNavigate()
  const safe = useRef<HTMLButtonElement>(null)
  const intention = useRef(new Intention())
  const targets = app.environments.filter(({ name }) => name !== from)
  const [target, setTarget] = useState(likely(app.environments, from) ?? '')
  const [reason, setReason] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  // Looked at anew each time: what serves there may have changed since.
  const query = useQuery({ ...promotionPlan(app.name, target, from), staleTime: 0, refetchOnMount: 'always' })
  // An older answer may say otherwise than what is on its way.
  const report = query.isFetching ? undefined : query.data
  const against = blocking(report?.findings ?? [])
  const trouble = error === undefined ? undefined : explain(error)
  const off =
    report === undefined
      ? 'The two are being compared'
      : against.length > 0 && reason.trim() === ''
        ? 'Say above why it is right all the same'
        : undefined

  const go = async () => {
    if (!report) return
    setBusy(true)
    setError(undefined)
    // The very release that was compared, whatever serves there by now.
    const order = { from, release: report.promoted.number, ...(against.length > 0 ? { force: reason.trim() } : {}) }
    try {
      const { id } = await promote(app.name, target, order, intention.current.keyFor([target, order]))
      close()
      await navigate(links.deployment(id))
    } catch (caught) {
      if (caught instanceof ApiError) intention.current.answered()
      setError(caught)
      setBusy(false)
    }
  }
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : close())}
      busy={busy}
      title={`Promote ${app.name} from ${from}`}
      description="The very same files, without fetching or building, with the variables of the target."
      focus={safe}
      className="sm:w-[44rem]"
      actions={
        <>
          <CloseButton ref={safe}>
            Keep {target} as it is
          </CloseButton>
          <Button look={against.length > 0 ? 'danger' : 'primary'} busy={busy} disabledReason={off} onClick={() => void go()}>
            <ArrowUpFromLine aria-hidden /> Promote{report ? ` v${report.promoted.number} to ${target}` : ''}
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <Field label="To">
          <Select
            value={target}
            disabled={busy}
            onChange={(event) => {
              setTarget(event.target.value)
              setReason('')
              setError(undefined)
            }}
          >
            {targets.map(({ name, active }) => (
              <option key={name} value={name}>
                {name}
                {active ? `, serves v${active.release_number}` : ', serves nothing yet'}
              </option>
            ))}
          </Select>
        </Field>
        <Loaded query={query}>{(found) => <Report report={found} />}</Loaded>
        {report ? <Consequence report={report} instances={targets.find(({ name }) => name === target)?.instances.length ?? 0} /> : null}
        {against.length > 0 ? (
          <Field label="Promote all the same, because" hint="The reason is recorded with the deployment.">
            <Input value={reason} maxLength={200} autoComplete="off" placeholder="both use the same sandbox" onChange={(event) => setReason(event.target.value)} />
          </Field>
        ) : null}
        {trouble ? (
          <Note tone="bad" urgent title={trouble.detail}>
            {trouble.hint}
          </Note>
        ) : null}
      </div>
    </Dialog>
  )
}

function Consequence({ report: { promoted, live, to, release_commands: commands }, instances }: { report: PromotionReport; instances: number }) {
  return (
    <p className="text-sm text-muted">
      {commands.length > 0 ? `${plural(commands.length, 'release command')} will be run in ${to}, then ` : ''}v{promoted.number} will be started there
      {instances > 0 ? ` in the place of ${plural(instances, 'instance')}` : ''}, and gets the traffic once it is healthy.{' '}
      {live ? `Until then, and if it fails, v${live.number} keeps serving.` : 'Nothing serves there before.'}
    </p>
  )
}

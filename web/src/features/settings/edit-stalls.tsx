import { useQueryClient } from '@tanstack/react-query'
import type { Phase, Remedy, StallLimits } from '@/api/schema'
import { setStalls } from '@/api/upkeep'
import { Field, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { phaseWord } from '@/ui/status'
import { useToast } from '@/ui/toast'
import { spanInWords, withChosen } from './spans'

const USUAL = ['30s', '1m', '2m', '5m', '10m', '15m', '30m', '1h', '2h']
const PHASES = ['pulling_source', 'building', 'backing_up', 'migrating', 'copying_files', 'creating_symlinks', 'updating_routes', 'health_check'] as const satisfies Phase[]
type Limited = (typeof PHASES)[number]

export default function EditStalls({ limits: { app, policy }, close }: { limits: StallLimits; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const form = useForm({
    initial: {
      silence: policy.silence ?? '',
      heartbeat: policy.heartbeat ?? '',
      remedy: policy.then ?? ('report' as Remedy),
      phases: (policy.phases ?? {}) as Partial<Record<Limited, string>>,
    },
    submit: async ({ remedy, ...limits }, key) => {
      // oxlint-disable-next-line unicorn/no-thenable -- the API's own name
      await setStalls({ app, ...limits, then: remedy }, key)
      await client.invalidateQueries({ queryKey: ['stalls'] })
      toast.show({ tone: 'good', title: 'The limits hold from now on.' })
      close()
    },
  })
  const { values, set, errors } = form
  const one = (phase: Limited, span: string) => {
    const { [phase]: _, ...others } = values.phases
    set('phases', span === '' ? others : { ...others, [phase]: span })
  }
  return (
    <FormDialog
      form={form}
      close={close}
      title={app ? `When a deployment of ${app} is stalled` : 'When a deployment is stalled'}
      description={app ? 'For this app alone; for what is at work, too.' : 'For all apps without limits of their own; for what is at work, too.'}
      action="Change"
      safe="Keep as it is"
      off={form.changed ? undefined : 'Nothing is changed yet'}
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="No step and no line for" hint="A build that prints nothing for long needs more." error={errors.silence}>
          <Spans value={values.silence} chosen={policy.silence} onChange={(span) => set('silence', span)} />
        </Field>
        <Field label="No sign of its server for" hint="The server that drives it, not the app." error={errors.heartbeat}>
          <Spans value={values.heartbeat} chosen={policy.heartbeat} onChange={(span) => set('heartbeat', span)} />
        </Field>
      </div>
      <Field label="Then" error={errors.remedy}>
        <Select value={values.remedy} onChange={(event) => set('remedy', event.target.value as Remedy)}>
          <option value="report">Tell of it, and do nothing by itself</option>
          <option value="fail">Take it back: it has failed</option>
          <option value="resume">Run its step again</option>
        </Select>
      </Field>
      <details open={Object.keys(policy.phases ?? {}).length > 0}>
        <summary className="touch cursor-pointer py-1 text-sm font-medium text-accent hover:underline">Single phases</summary>
        <div className="mt-2 grid gap-4 sm:grid-cols-2">
          {PHASES.map((phase) => (
            <Field key={phase} label={phaseWord(phase)} error={phase === PHASES[0] ? errors.phases : undefined}>
              <Spans none value={values.phases[phase] ?? ''} chosen={policy.phases?.[phase]} onChange={(span) => one(phase, span)} />
            </Field>
          ))}
        </div>
      </details>
    </FormDialog>
  )
}

function Spans({ value, chosen = '', onChange, none }: { value: string; chosen?: string; onChange(span: string): void; none?: boolean }) {
  return (
    <Select value={value} onChange={(event) => onChange(event.target.value)}>
      {none ? <option value="">As the others</option> : null}
      {withChosen(USUAL, chosen).map((span) => (
        <option key={span} value={span}>
          {spanInWords(span)}
        </option>
      ))}
    </Select>
  )
}

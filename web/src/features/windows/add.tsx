// A new rule: when deployments may begin, or that none may for a while.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { createWindow } from '@/api/actions'
import { app as appQuery, apps } from '@/api/queries'
import type { NewRule } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { EnvironmentField } from '@/features/schedules/environment-field'
import { useHome } from '@/preferences'
import { Field, Input, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { InstantField, ZoneField, meant, wrong } from '@/ui/instant-field'
import { useToast } from '@/ui/toast'
import { WEEK, daysWritten } from './words'

export default function AddWindow({ close }: { close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const may = useMay()
  const home = useHome()
  const { data: known } = useQuery(apps({ limit: 500 }))
  const form = useForm({
    initial: {
      kind: 'deploy' as NewRule['kind'],
      app: may('admin') === undefined ? '' : undefined,
      environment: '',
      days: ['mon', 'tue', 'wed', 'thu', 'fri'],
      opens: '09:00',
      closes: '16:00',
      zone: home,
      from: { local: '', zone: home, later: false },
      until: { local: '', zone: home, later: false },
      reason: '',
    },
    check: (values) => ({
      app: values.app === undefined ? 'Which app it is for' : undefined,
      days: values.kind === 'deploy' && values.days.length === 0 ? 'At least one day' : undefined,
      opens: values.kind === 'deploy' && values.opens === '' ? 'A time of day' : undefined,
      closes: values.kind === 'deploy' && values.closes === '' ? 'A time of day' : undefined,
      reason: values.kind === 'freeze' && values.reason.trim() === '' ? 'Why: it is told to those who wait' : undefined,
      from: values.kind === 'freeze' && values.from.local !== '' && meant(values.from) === undefined ? wrong(values.from) : undefined,
      until: values.kind === 'freeze' ? wrong(values.until) : undefined,
    }),
    submit: async (values, key) => {
      const rule: NewRule =
        values.kind === 'deploy'
          ? { kind: 'deploy', days: daysWritten(values.days), from: values.opens, to: values.closes, zone: values.zone }
          : { kind: 'freeze', from: meant(values.from) ?? null, until: meant(values.until) ?? null, reason: values.reason.trim() }
      await createWindow({ app: values.app || null, environment: values.environment.trim() || null, rule }, key)
      await Promise.all([['windows'], ['queue']].map((queryKey) => client.invalidateQueries({ queryKey })))
      toast.show({ tone: 'good', title: values.kind === 'deploy' ? 'The deploy window holds from now on.' : 'The freeze is set.' })
      close()
    },
  })
  const { values, set, errors } = form
  const { data: of } = useQuery({ ...appQuery(values.app ?? ''), enabled: Boolean(values.app) })
  const everywhere = may('admin')
  return (
    <FormDialog
      form={form}
      close={close}
      title="New rule"
      description="Rollbacks are never held. What is at work when it begins to hold is not stopped."
      action="Add the rule"
    >
      <Field label="Rule">
        <Select value={values.kind} onChange={(event) => set('kind', event.target.value as NewRule['kind'])}>
          <option value="deploy">Deploy window: deployments begin only then</option>
          <option value="freeze">Freeze: none begins then</option>
        </Select>
      </Field>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="App" error={errors.app}>
          <Select value={values.app ?? '?'} onChange={(event) => set('app', event.target.value)}>
            {everywhere === undefined ? <option value="">All apps</option> : <option value="?">Choose one</option>}
            {(known?.items ?? [])
              .filter(({ name }) => may('admin', name) === undefined)
              .map(({ name }) => (
                <option key={name} value={name}>
                  {name}
                </option>
              ))}
          </Select>
        </Field>
        <EnvironmentField
          value={values.environment}
          onChange={(name) => set('environment', name)}
          names={of?.environments.map(({ name }) => name) ?? ['production', 'staging']}
          hint="Empty: all of them"
          error={errors.environment}
        />
      </div>
      {values.kind === 'deploy' ? (
        <>
          <Days chosen={values.days} onChange={(days) => set('days', days)} error={errors.days} />
          <div className="grid grid-cols-2 gap-4">
            <Field label="From" error={errors.opens}>
              <Input type="time" value={values.opens} onChange={(event) => set('opens', event.target.value)} />
            </Field>
            <Field label="To" hint="The next day’s when it is not after the begin" error={errors.closes}>
              <Input type="time" value={values.closes} onChange={(event) => set('closes', event.target.value)} />
            </Field>
          </div>
          <ZoneField value={values.zone} onChange={(next) => set('zone', next)} error={errors.zone} />
        </>
      ) : (
        <>
          <Field label="Why" hint="It is told to those who wait." error={errors.reason}>
            <Input value={values.reason} maxLength={200} autoComplete="off" onChange={(event) => set('reason', event.target.value)} />
          </Field>
          <InstantField label="From" hint="Empty: from now on" home={home} value={values.from} onChange={(time) => set('from', time)} error={errors.from} />
          <InstantField label="Until" hint="Empty: until it is removed" home={home} value={values.until} onChange={(time) => set('until', time)} error={errors.until} />
        </>
      )}
    </FormDialog>
  )
}

function Days({ chosen, onChange, error }: { chosen: string[]; onChange(days: string[]): void; error?: string }) {
  return (
    <fieldset>
      <legend className="mb-1 text-sm font-medium">Days</legend>
      <div className="flex flex-wrap gap-1.5">
        {WEEK.map(([day, word]) => (
          <label
            key={day}
            className="touch inline-flex cursor-pointer items-center gap-1.5 rounded-md border border-edge bg-surface px-2 py-1 text-sm has-checked:border-accent has-checked:bg-accent-soft"
          >
            <input
              type="checkbox"
              className="size-4 accent-accent"
              checked={chosen.includes(day)}
              onChange={(event) => onChange(event.target.checked ? [...chosen, day] : chosen.filter((other) => other !== day))}
            />
            {word}
          </label>
        ))}
      </div>
      {error ? (
        <p className="mt-1 text-sm text-bad" role="alert">
          {error}
        </p>
      ) : null}
    </fieldset>
  )
}

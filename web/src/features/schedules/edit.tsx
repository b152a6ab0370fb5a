// A schedule, made or changed: its rhythm in words, or any cron expression.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { createSchedule, updateSchedule } from '@/api/actions'
import { app as appQuery, apps } from '@/api/queries'
import type { Missed, Priority, Schedule } from '@/api/schema'
import { PRIORITIES } from '@/features/queue/priorities'
import { useHome } from '@/preferences'
import { Field, Input, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { exact } from '@/ui/format'
import { ZoneField } from '@/ui/instant-field'
import { useToast } from '@/ui/toast'
import { DAYS, type Every, type Rhythm, read, whole, written } from './cron'
import { EnvironmentField } from './environment-field'
import { NextRuns, usePreview } from './next-runs'

const RHYTHMS: [Every, string][] = [
  ['day', 'Every day'],
  ['weekday', 'Monday to Friday'],
  ['week', 'Every week'],
  ['month', 'Every month'],
  ['hour', 'Every hour'],
  ['other', 'As a cron expression'],
]

// What is critical is so once, and for a reason that is on record.
const USUAL = PRIORITIES.filter(([priority]) => priority !== 'critical')

/** Changes `schedule`; makes one without. */
export default function EditSchedule({ schedule, close }: { schedule?: Schedule; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const home = useHome()
  const rhythm = read(schedule?.cron ?? '0 6 * * *', home)
  const form = useForm({
    initial: {
      app: '',
      environment: 'production',
      name: '',
      reference: '',
      priority: 'normal' as Priority,
      missed: schedule?.missed ?? ('run_once' as Missed),
      ...rhythm,
      cron: '',
    },
    check: (values) => ({
      app: schedule || values.app !== '' ? undefined : 'Which app it deploys',
      environment: schedule || values.environment.trim() !== '' ? undefined : 'Where it deploys to',
      time: values.every === 'other' || values.time !== '' ? undefined : 'A time of day',
      fields: values.every !== 'other' || values.fields.trim().split(/\s+/).length === 5 ? undefined : 'Minute, hour, day of month, month and day of week, such as 0 6 * * MON-FRI',
    }),
    submit: async (values, key) => {
      const cron = written(values)
      const { missed } = values
      const saved = schedule
        ? await updateSchedule(schedule.id, { cron, missed }, key)
        : await createSchedule(
            {
              app: values.app,
              environment: values.environment.trim(),
              name: values.name.trim() || null,
              cron,
              missed,
              order: { priority: values.priority, ...(values.reference.trim() === '' ? {} : { reference: values.reference.trim() }) },
            },
            key,
          )
      await Promise.all([['schedules'], ['queue']].map((queryKey) => client.invalidateQueries({ queryKey })))
      const [next] = saved.upcoming
      toast.show({
        tone: 'good',
        title: `The schedule ${saved.name} is ${schedule ? 'changed' : 'made'}.`,
        children: next ? `It runs next at ${exact(next, saved.cron.split(' ')[5])}.` : undefined,
      })
      close()
    },
  })
  const { values, set, errors } = form
  const preview = usePreview(whole(values), home)
  const typed = values.every === 'other'
  const title = schedule ? `Change the schedule ${schedule.name}` : 'New schedule'
  return (
    <FormDialog
      form={form}
      close={close}
      title={title}
      description={schedule ? `It deploys ${schedule.app} to ${schedule.environment}.` : 'Deploys an environment again and again, with what its source has by then.'}
      action={schedule ? 'Change' : 'Make the schedule'}
      safe={schedule ? 'Keep as it is' : 'Not now'}
    >
      {schedule ? null : <What form={form} />}
      <Field label="Runs" error={errors.cron ?? errors.every}>
        <Select value={values.every} onChange={(event) => set('every', event.target.value as Every)}>
          {RHYTHMS.map(([value, word]) => (
            <option key={value} value={value}>
              {word}
            </option>
          ))}
        </Select>
      </Field>
      <When values={values} set={set} errors={typed ? { ...errors, fields: errors.fields ?? preview.error } : errors} />
      <NextRuns preview={preview} zone={values.zone} home={home} told={typed} />
      <Field label="Runs that were missed" hint="Such as while no server ran.">
        <Select value={values.missed} onChange={(event) => set('missed', event.target.value as Missed)}>
          <option value="run_once">Run once as soon as possible, however many they were</option>
          <option value="skip">Wait for the next one</option>
        </Select>
      </Field>
    </FormDialog>
  )
}

interface Values extends Rhythm {
  app: string
  environment: string
  name: string
  reference: string
  priority: Priority
  missed: Missed
  cron: string
}

type Form = ReturnType<typeof useForm<Values>>

function What({ form: { values, set, errors } }: { form: Form }) {
  const { data: known } = useQuery(apps({ limit: 500 }))
  const { data: of } = useQuery({ ...appQuery(values.app), enabled: values.app !== '' })
  const git = of?.source?.kind === 'git' ? of.source : undefined
  return (
    <>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="App" error={errors.app}>
          <Select value={values.app} onChange={(event) => set('app', event.target.value)}>
            <option value="">Choose one</option>
            {(known?.items ?? []).map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </Select>
        </Field>
        <EnvironmentField value={values.environment} onChange={(name) => set('environment', name)} names={of?.environments.map(({ name }) => name) ?? []} error={errors.environment} />
      </div>
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="Name" hint="Empty: the environment’s name" error={errors.name}>
          <Input value={values.name} autoComplete="off" autoCapitalize="none" spellCheck={false} placeholder="nightly" onChange={(event) => set('name', event.target.value)} />
        </Field>
        <Field label="Priority" error={errors.priority}>
          <Select value={values.priority} onChange={(event) => set('priority', event.target.value as Priority)}>
            {USUAL.map(([value, word]) => (
              <option key={value} value={value}>
                {word}
              </option>
            ))}
          </Select>
        </Field>
      </div>
      {git ? (
        <Field label="Branch, tag or commit" hint={git.reference ? `Empty: ${git.reference}` : 'Empty: the repository’s default branch'} error={errors.reference}>
          <Input value={values.reference} autoComplete="off" autoCapitalize="none" spellCheck={false} onChange={(event) => set('reference', event.target.value)} />
        </Field>
      ) : null}
    </>
  )
}

function When({ values, set, errors }: Pick<Form, 'values' | 'set' | 'errors'>) {
  return (
    <>
      {values.every === 'other' ? (
        <Field label="Cron expression" hint="Minute, hour, day of month, month, day of week" error={errors.fields}>
          <Input value={values.fields} spellCheck={false} autoComplete="off" className="font-mono" placeholder="0 6 * * MON-FRI" onChange={(event) => set('fields', event.target.value)} />
        </Field>
      ) : (
        <div className="grid gap-4 sm:grid-cols-2">
          {values.every === 'week' ? (
            <Field label="Day">
              <Select value={values.day} onChange={(event) => set('day', event.target.value)}>
                {DAYS.map(([value, word]) => (
                  <option key={value} value={value}>
                    {word}
                  </option>
                ))}
              </Select>
            </Field>
          ) : null}
          {values.every === 'month' ? (
            <Field label="Day of the month" hint="1 to 28: each month has it">
              <Input type="number" min={1} max={28} value={values.date} onChange={(event) => set('date', Math.min(28, Math.max(1, Number(event.target.value) || 1)))} />
            </Field>
          ) : null}
          <Field label={values.every === 'hour' ? 'Minute' : 'Time'} error={errors.time} hint={values.every === 'hour' ? 'Only the minutes count.' : undefined}>
            <Input type="time" value={values.time} onChange={(event) => set('time', event.target.value)} />
          </Field>
        </div>
      )}
      <ZoneField value={values.zone} onChange={(zone) => set('zone', zone)} />
    </>
  )
}

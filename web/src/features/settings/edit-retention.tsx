import { useQueryClient } from '@tanstack/react-query'
import type { RetentionPolicy } from '@/api/schema'
import { setRetention } from '@/api/upkeep'
import { Field, Input, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { number } from '@/ui/format'
import { useToast } from '@/ui/toast'
import { spanInWords, withChosen } from './spans'

type Age = 'outputs' | 'events' | 'deployments' | 'keys'

const AGES: [Age, string, string][] = [
  ['outputs', 'What deployments printed', 'Lines that are gone are not found any more.'],
  ['events', 'Events', 'Programs that go on from an older one begin with what is left.'],
  ['deployments', 'Records of deployments', 'Those that a rollback needs stay.'],
  ['keys', 'Answers to repeated requests', 'So long a request may be repeated under its key.'],
]
const USUAL = ['1d', '7d', '14d', '30d', '90d', '365d', '3y', 'forever']
/** As the API takes it. */
const MOST = 1000

export default function EditRetention({ policy: { app, keep }, close }: { policy: RetentionPolicy; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const initial = { releases: String(keep.releases), outputs: keep.outputs, events: keep.events, deployments: keep.deployments, keys: keep.keys }
  const form = useForm({
    initial,
    check: ({ releases }) => ({
      releases: /^\d+$/.test(releases) && Number(releases) >= 1 && Number(releases) <= MOST ? undefined : `A whole number from 1 to ${number(MOST)}`,
    }),
    submit: async (values, key) => {
      // What is left as it was stays that of the server, or what is usual.
      const changed = AGES.filter(([age]) => values[age] !== initial[age]).map(([age]) => [age, values[age]])
      const releases = values.releases === initial.releases ? {} : { releases: Number(values.releases) }
      await setRetention({ app, ...releases, ...Object.fromEntries(changed) }, key)
      await client.invalidateQueries({ queryKey: ['retention'] })
      toast.show({ tone: 'good', title: 'What is older goes within an hour from now on.' })
      close()
    },
  })
  const { values, set, errors } = form
  return (
    <FormDialog
      form={form}
      close={close}
      title={app ? `How long things of ${app} are kept` : 'How long things are kept'}
      description={
        app
          ? 'For this app alone. What serves, runs, waits or is needed for a rollback stays, however old it is.'
          : 'For all apps without settings of their own. What serves, runs, waits or is needed for a rollback stays, however old it is.'
      }
      action="Change"
      safe="Keep as it is"
      off={form.changed ? undefined : 'Nothing is changed yet'}
    >
      <Field label="Releases whose files stay" hint="In each environment, besides what serves: the last ones that served well." error={errors.releases}>
        <Input inputMode="numeric" autoComplete="off" value={values.releases} onChange={(event) => set('releases', event.target.value.trim())} />
      </Field>
      <div className="grid gap-4 sm:grid-cols-2">
        {AGES.filter(([age]) => age !== 'keys' || !app).map(([age, label, hint]) => (
          <Field key={age} label={label} hint={hint} error={errors[age]}>
            <Select value={values[age]} onChange={(event) => set(age, event.target.value)}>
              {withChosen(USUAL, initial[age]).map((text) => (
                <option key={text} value={text}>
                  {spanInWords(text)}
                </option>
              ))}
            </Select>
          </Field>
        ))}
      </div>
    </FormDialog>
  )
}

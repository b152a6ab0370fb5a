// When something that waits is to begin, and how much it matters.
import { useQueryClient } from '@tanstack/react-query'
import { reschedule } from '@/api/actions'
import type { Entry, Priority } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { useHome } from '@/preferences'
import { Field, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { InstantField, meant, wrong } from '@/ui/instant-field'
import { useToast } from '@/ui/toast'
import { wall } from '@/ui/zones'
import { PRIORITIES } from './priorities'

export default function Reschedule({ entry, close }: { entry: Entry; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const may = useMay()
  const home = useHome()
  const { not_before: ordered } = entry
  const urgent = may('admin', entry.app)
  const form = useForm({
    initial: {
      not_before: { local: ordered ? wall(Date.parse(ordered), home) : '', zone: home, later: false },
      priority: entry.priority,
    },
    check: ({ not_before }) => ({ not_before: wrong(not_before) }),
    submit: async ({ not_before, priority }, key) => {
      const at = meant(not_before)
      await reschedule(entry.deployment, at ? { not_before: at, priority } : { now: true, priority }, key)
      await client.invalidateQueries({ queryKey: ['queue'] })
      toast.show({ tone: 'good', title: at ? 'It waits for its time.' : 'It begins as soon as its turn comes.' })
      close()
    },
  })
  const { values, set, errors } = form
  return (
    <FormDialog
      form={form}
      close={close}
      title={`When ${entry.app} / ${entry.environment} begins`}
      action="Change"
      safe="Keep as it is"
      off={form.changed ? undefined : 'Nothing is changed yet'}
    >
      <InstantField
        label="Not before"
        hint="Empty: as soon as its turn comes"
        home={home}
        value={values.not_before}
        onChange={(time) => set('not_before', time)}
        error={errors.not_before}
      />
      <Field label="Priority" hint={urgent && `Critical: ${urgent.charAt(0).toLowerCase()}${urgent.slice(1)}`} error={errors.priority}>
        <Select value={values.priority} onChange={(event) => set('priority', event.target.value as Priority)}>
          {PRIORITIES.map(([value, word]) => (
            <option key={value} value={value} disabled={value === 'critical' && urgent !== undefined && entry.priority !== 'critical'}>
              {word}
            </option>
          ))}
        </Select>
      </Field>
    </FormDialog>
  )
}

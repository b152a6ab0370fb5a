import { useQueryClient } from '@tanstack/react-query'
import { setSupersede } from '@/api/apps'
import type { Environment, Supersede } from '@/api/schema'
import { Field, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { useToast } from '@/ui/toast'

export default function EditSupersede({ environment: { app, name, supersede }, close }: { environment: Environment; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const form = useForm({
    initial: { policy: supersede },
    submit: async ({ policy }, key) => {
      await setSupersede(app, name, policy, key)
      await Promise.all([['apps'], ['environments', app, name]].map((queryKey) => client.invalidateQueries({ queryKey })))
      toast.show({ tone: 'good', title: policy === 'skip_queued' ? `Only the newest of a branch runs in ${name}.` : `Each deployment to ${name} runs.` })
      close()
    },
  })
  return (
    <FormDialog
      form={form}
      close={close}
      title={`When several wait for ${app} / ${name}`}
      description="It holds for deployments that are ordered from now on. What is at work goes on in any case."
      action="Change"
      safe="Keep as it is"
      off={form.changed ? undefined : 'It is that already'}
    >
      <Field label="Of one branch" error={form.errors.policy}>
        <Select value={form.values.policy} onChange={(event) => form.set('policy', event.target.value as Supersede)}>
          <option value="run_all">Each of them runs, one after the other</option>
          <option value="skip_queued">The newest runs; older ones that wait end without running</option>
        </Select>
      </Field>
    </FormDialog>
  )
}

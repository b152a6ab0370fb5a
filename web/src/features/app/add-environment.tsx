import { useQuery, useQueryClient } from '@tanstack/react-query'
import { createEnvironment } from '@/api/actions'
import { cluster } from '@/api/queries'
import type { AppDetail } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Field, Input, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { useToast } from '@/ui/toast'

export default function AddEnvironment({ app, close }: { app: AppDetail; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  // Who may not look at the server is not asked on which machine.
  const looks = useMay()('viewer') === undefined
  const { data: machines } = useQuery({ ...cluster(), enabled: looks })
  const hosts = machines?.hosts.filter(({ live }) => live) ?? []
  const form = useForm({
    initial: { environment: '', host: '' },
    check: ({ environment: name }) => ({
      environment: !/^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name)
        ? 'Small letters, digits and hyphens; a letter first, 40 at most'
        : app.environments.some((known) => known.name === name)
          ? 'There is one of this name'
          : undefined,
    }),
    submit: async ({ environment, host }, key) => {
      await createEnvironment(app.name, environment, key, host || undefined)
      await Promise.all([['apps'], ['overview']].map((queryKey) => client.invalidateQueries({ queryKey })))
      toast.show({ tone: 'good', title: `${app.name} / ${environment} is there. Nothing serves in it yet.` })
      close()
    },
  })
  return (
    <FormDialog
      form={form}
      close={close}
      title={`New environment of ${app.name}`}
      description="With variables, releases that serve and an address of its own."
      action="Create"
    >
      <Field label="Name" hint="Such as staging. It can’t be changed later." error={form.errors.environment}>
        <Input
          value={form.values.environment}
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          onChange={(event) => form.set('environment', event.target.value)}
        />
      </Field>
      {hosts.length > 1 ? (
        <Field label="Machine" error={form.errors.host}>
          <Select value={form.values.host} onChange={(event) => form.set('host', event.target.value)}>
            <option value="">That of the server which answers this page</option>
            {hosts.map(({ name }) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </Select>
        </Field>
      ) : null}
    </FormDialog>
  )
}

// Variables go in and never come out: the server gives their names alone.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { KeyRound, Plus, Trash2 } from 'lucide-react'
import { useState } from 'react'
import { setVariable, unsetVariable } from '@/api/actions'
import { newKey } from '@/api/keys'
import { variables } from '@/api/queries'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { Code } from '@/ui/code'
import { useConfirm } from '@/ui/confirm'
import { Field, Input, TextArea } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { Empty, Loaded } from '@/ui/states'
import { useToast } from '@/ui/toast'

export function Variables({ app, environment }: { app: string; environment: string }) {
  const query = useQuery(variables(app, environment))
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const may = useMay()
  const [editing, setEditing] = useState<string>()
  const refresh = () => client.invalidateQueries(variables(app, environment))
  const notAllowed = may('admin', app)
  const remove = (name: string) =>
    confirm({
      title: `Remove ${name}?`,
      will: [
        <>
          The value of <Code>{name}</Code> is deleted and can’t be brought back.
        </>,
        `What serves in ${environment} keeps it until the next deployment.`,
      ],
      action: 'Remove',
      danger: true,
      run: async () => {
        await unsetVariable(app, environment, name, newKey())
        await refresh()
        toast.show({ tone: 'good', title: `${name} is removed. It holds from the next deployment on.` })
      },
    })
  return (
    <Card
      title="Variables"
      flush
      aside={
        <Button size="sm" onClick={() => setEditing('')} disabledReason={notAllowed}>
          <Plus aria-hidden /> Add
        </Button>
      }
    >
      <Loaded query={query}>
        {(list) =>
          list.length === 0 ? (
            <Empty title="No variables">What the app is given as its environment: addresses, keys, passwords. Values can be written, and never read back.</Empty>
          ) : (
            <ul>
              {list.map(({ name }) => (
                <li key={name} className="flex items-center gap-3 border-t border-line px-4 py-1.5">
                  <KeyRound className="size-4 shrink-0 text-muted" aria-hidden />
                  <span className="min-w-0 grow font-mono text-sm break-all">{name}</span>
                  <Button look="quiet" size="sm" onClick={() => setEditing(name)} disabledReason={notAllowed} aria-label={`Change ${name}`}>
                    Change
                  </Button>
                  <Button look="quiet" size="sm" onClick={() => remove(name)} disabledReason={notAllowed} aria-label={`Remove ${name}`}>
                    <Trash2 aria-hidden />
                  </Button>
                </li>
              ))}
            </ul>
          )
        }
      </Loaded>
      {editing === undefined ? null : (
        <Edit app={app} environment={environment} name={editing} done={refresh} close={() => setEditing(undefined)} />
      )}
    </Card>
  )
}

interface EditProps {
  app: string
  environment: string
  /** Empty for a new one. */
  name: string
  done(): Promise<void>
  close(): void
}

function Edit({ app, environment, name, done, close }: EditProps) {
  const toast = useToast()
  const form = useForm({
    initial: { name, value: '' },
    check: (values) => ({
      name: /^[A-Za-z_][A-Za-z0-9_]*$/.test(values.name) ? undefined : 'Letters, digits and _, such as DATABASE_URL',
    }),
    submit: async (values, key) => {
      await setVariable(app, environment, values.name, values.value, key)
      await done()
      toast.show({ tone: 'good', title: `${values.name} is set. It holds from the next deployment on.` })
      close()
    },
  })
  return (
    <FormDialog
      form={form}
      close={close}
      title={name === '' ? 'Add a variable' : `Change ${name}`}
      description="The value is sealed, and nobody can read it back: neither here nor by the API."
      action="Save"
    >
      {name === '' ? (
        <Field label="Name" error={form.errors.name}>
          <Input
            value={form.values.name}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            className="font-mono"
            onChange={(event) => form.set('name', event.target.value)}
          />
        </Field>
      ) : null}
      <Field label="Value" error={form.errors.value} hint="As it is typed: spaces and line ends count.">
        <TextArea
          value={form.values.value}
          autoComplete="off"
          spellCheck={false}
          className="font-mono"
          onChange={(event) => form.set('value', event.target.value)}
        />
      </Field>
    </FormDialog>
  )
}

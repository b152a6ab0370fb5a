import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { createApp } from '@/api/actions'
import { to } from '@/paths'
import { Field, Input } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'

/** An app and where its source comes from. Its first environment comes with its first deployment. */
export function CreateApp({ close }: { close(): void }) {
  const navigate = useNavigate()
  const client = useQueryClient()
  const form = useForm({
    initial: { name: '', url: '', reference: '' },
    check: ({ name, url }) => ({
      name: /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name) ? undefined : 'Small letters, digits and hyphens; a letter first, 40 at most',
      url: url.trim() === '' ? 'The address that you would give to git clone' : undefined,
    }),
    submit: async ({ name, url, reference }, key) => {
      const source = { kind: 'git' as const, url: url.trim(), ...(reference.trim() === '' ? {} : { reference: reference.trim() }) }
      await createApp({ name, source }, key)
      await client.invalidateQueries({ queryKey: ['apps'] })
      close()
      await navigate(to.app(name))
    },
  })
  const text = (name: 'name' | 'url' | 'reference') => ({
    value: form.values[name],
    autoComplete: 'off',
    autoCapitalize: 'none',
    spellCheck: false,
    onChange: (event: { target: { value: string } }) => form.set(name, event.target.value),
  })
  return (
    <FormDialog
      form={form}
      close={close}
      title="New app"
      action="Create"
    >
      <Field label="Name" hint="It answers at this name below the server’s domain." error={form.errors.name}>
        <Input {...text('name')} placeholder="shop" />
      </Field>
      <Field label="Git repository" error={form.errors.url}>
        <Input {...text('url')} placeholder="https://git.example.org/team/shop.git" />
      </Field>
      <Field label="Branch, tag or commit" hint="Empty: the repository’s default branch" error={form.errors.reference}>
        <Input {...text('reference')} placeholder="default branch" />
      </Field>
    </FormDialog>
  )
}

import { useQueryClient } from '@tanstack/react-query'
import { setSource } from '@/api/apps'
import type { AppDetail, Source } from '@/api/schema'
import { Field, Input, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { useToast } from '@/ui/toast'

type Kind = Exclude<Source['kind'], 'archive'>

export default function EditSource({ app: { name: app, source }, close }: { app: AppDetail; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const form = useForm({
    initial: {
      kind: (source?.kind === 'directory' ? 'directory' : 'git') as Kind,
      url: source?.kind === 'git' ? source.url : '',
      reference: (source?.kind === 'git' && source.reference) || '',
      path: source?.kind === 'directory' ? source.path : '',
    },
    check: ({ kind, url, path }) => ({
      url: kind === 'git' && url.trim() === '' ? 'The address that you would give to git clone' : undefined,
      path: kind === 'directory' && !path.startsWith('/') ? 'The whole path, from / on' : undefined,
    }),
    submit: async ({ kind, url, reference, path }, key) => {
      const next: Source =
        kind === 'directory'
          ? { kind, path }
          : { kind, url: url.trim(), ...(reference.trim() === '' ? {} : { reference: reference.trim() }) }
      await setSource(app, next, key)
      await client.invalidateQueries({ queryKey: ['apps'] })
      await client.invalidateQueries({ queryKey: ['overview'] })
      toast.show({ tone: 'good', title: `Deployments of ${app} take their source from there from now on.` })
      close()
    },
  })
  const text = (field: 'url' | 'reference' | 'path') => ({
    value: form.values[field],
    autoComplete: 'off',
    autoCapitalize: 'none',
    spellCheck: false,
    onChange: (event: { target: { value: string } }) => form.set(field, event.target.value),
  })
  return (
    <FormDialog
      form={form}
      close={close}
      title={`Source of ${app}`}
      description="It holds for deployments that are ordered from now on. What serves is not touched; votes on what waits begin anew."
      action={source ? 'Change' : 'Set'}
      off={form.changed ? undefined : 'Nothing is changed yet'}
    >
      <Field label="From">
        <Select value={form.values.kind} onChange={(event) => form.set('kind', event.target.value as Kind)}>
          <option value="git">A git repository</option>
          <option value="directory">A folder of the server’s machine</option>
        </Select>
      </Field>
      {form.values.kind === 'git' ? (
        <>
          <Field label="Git repository" error={form.errors.url}>
            <Input {...text('url')} placeholder="https://git.example.org/team/shop.git" />
          </Field>
          <Field label="Branch, tag or commit" hint="Empty: the repository’s default branch" error={form.errors.reference}>
            <Input {...text('reference')} placeholder="default branch" />
          </Field>
        </>
      ) : (
        <Field label="Folder" hint="The server has to be told that apps may be there." error={form.errors.path}>
          <Input {...text('path')} placeholder="/srv/shop" />
        </Field>
      )}
    </FormDialog>
  )
}

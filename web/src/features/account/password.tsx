import { useQueryClient } from '@tanstack/react-query'
import { changePassword } from '@/api/actions'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { Field, Input } from '@/ui/field'
import { useForm } from '@/ui/form'
import { plural } from '@/ui/format'
import { Note } from '@/ui/note'
import { useToast } from '@/ui/toast'

const empty = { current: '', new: '' }

/** Another password for oneself. All other sessions end with it. */
export function Password({ email }: { email: string }) {
  const client = useQueryClient()
  const toast = useToast()
  const form = useForm({
    initial: empty,
    check: (values) => ({
      current: values.current === '' ? 'The password that you have now' : undefined,
      new: [...values.new].length < 12 ? 'At least 12 characters; a few words are easy to keep in mind' : undefined,
    }),
    submit: async (values, key) => {
      const { ended } = await changePassword(values, key)
      form.reset(empty)
      await client.invalidateQueries({ queryKey: ['sessions'] })
      toast.show({
        tone: 'good',
        title: 'Your password is changed.',
        children: ended > 0 ? `${plural(ended, 'session')} elsewhere ${ended === 1 ? 'has' : 'have'} ended.` : undefined,
      })
    },
  })
  return (
    <Card title="Password">
      <form onSubmit={form.onSubmit} noValidate className="flex flex-col gap-4">
        {/* Not seen: password managers want to know whose it is. */}
        <input type="email" autoComplete="username" value={email} readOnly hidden />
        <Field label="Current password" error={form.errors.current}>
          <Input
            type="password"
            autoComplete="current-password"
            value={form.values.current}
            onChange={(event) => form.set('current', event.target.value)}
          />
        </Field>
        <Field label="New password" hint="12 characters at least. You are signed out everywhere else." error={form.errors.new}>
          <Input type="password" autoComplete="new-password" value={form.values.new} onChange={(event) => form.set('new', event.target.value)} />
        </Field>
        {form.trouble ? (
          <Note tone="bad" urgent title={form.trouble.detail}>
            {form.trouble.hint}
          </Note>
        ) : null}
        <div>
          <Button type="submit" busy={form.busy}>
            Change the password
          </Button>
        </div>
      </form>
    </Card>
  )
}

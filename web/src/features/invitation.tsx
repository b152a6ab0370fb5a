// Accepting an invitation; the first owner's is the setup. The secret is in the address behind `#`, which no server is sent.
import { useQueryClient } from '@tanstack/react-query'
import { useRouter } from '@tanstack/react-router'
import { useEffect, useState } from 'react'
import { accept } from '@/api/auth'
import { Door } from '@/layout/door'
import { to } from '@/paths'
import { Button, ButtonLink } from '@/ui/button'
import { Field, Input } from '@/ui/field'
import { useForm } from '@/ui/form'
import { Note } from '@/ui/note'

export function Invitation({ title, first }: { title: string; first?: boolean }) {
  const [secret] = useState(() => location.hash.slice(1))
  const router = useRouter()
  const client = useQueryClient()
  // Out of the address line: it is worth a password until it is used.
  useEffect(() => history.replaceState(history.state, '', location.pathname), [])
  const form = useForm({
    initial: { name: '', email: '', password: '' },
    check: ({ name, password }) => ({
      name: name.trim() === '' ? 'What others call you' : undefined,
      password: [...password].length < 12 ? 'At least 12 characters; a few words are easy to keep in mind' : undefined,
    }),
    submit: async ({ name, email, password }) => {
      await accept(secret, { name: name.trim(), password, ...(email.trim() === '' ? {} : { email: email.trim() }) })
      client.clear()
      await router.navigate(to.overview())
    },
  })
  if (secret.length < 20) {
    return (
      <Door title="This link is not whole">
        <p>The part behind # is missing. Open the link again as it was given to you, or copy it as a whole.</p>
        <ButtonLink {...to.signIn()} className="mt-4">
          Sign in instead
        </ButtonLink>
      </Door>
    )
  }
  return (
    <Door title={title}>
      <p className="mb-4 text-muted">
        {first ? 'You become the first owner of this server. Others come by your invitation.' : 'Choose how you sign in from now on.'}
      </p>
      <form onSubmit={form.onSubmit} noValidate className="flex flex-col gap-4">
        <Field label="Name" error={form.errors.name}>
          <Input autoComplete="name" value={form.values.name} onChange={(event) => form.set('name', event.target.value)} />
        </Field>
        <Field label="E-mail" error={form.errors.email} hint={first ? undefined : 'Leave it empty if the invitation was sent to you by e-mail.'}>
          <Input
            type="email"
            autoComplete="username"
            autoCapitalize="none"
            spellCheck={false}
            value={form.values.email}
            onChange={(event) => form.set('email', event.target.value)}
          />
        </Field>
        <Field label="Password" error={form.errors.password} hint="12 characters at least. No rules about digits and signs: length is what counts.">
          <Input
            type="password"
            autoComplete="new-password"
            value={form.values.password}
            onChange={(event) => form.set('password', event.target.value)}
          />
        </Field>
        {form.trouble ? (
          <Note tone="bad" urgent title={form.trouble.detail}>
            {form.trouble.hint}
          </Note>
        ) : null}
        <Button type="submit" look="primary" busy={form.busy}>
          {first ? 'Become the owner' : 'Accept and sign in'}
        </Button>
      </form>
    </Door>
  )
}

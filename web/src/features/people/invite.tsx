// Inviting somebody. The link is told this once, so the dialog keeps it until it is put away.
import { useQueryClient } from '@tanstack/react-query'
import { UserPlus } from 'lucide-react'
import { useState } from 'react'
import { invite } from '@/api/actions'
import type { Invited, Role } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { CodeBlock } from '@/ui/code'
import { Dialog } from '@/ui/dialog'
import { Field, Input, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { Note } from '@/ui/note'
import { Time } from '@/ui/time'
import { RoleField } from './role-field'
import { invitationLink, roleWord } from './roles'

/** To this app, or everywhere. */
export function InviteButton({ app, look }: { app?: string; look?: 'primary' | 'plain' }) {
  const may = useMay()
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button look={look} onClick={() => setOpen(true)} disabledReason={app === undefined ? may('owner') : may('admin', app)}>
        <UserPlus aria-hidden /> Invite
      </Button>
      {open ? <InviteDialog app={app} close={() => setOpen(false)} /> : null}
    </>
  )
}

export function InviteDialog({ app, email, close }: { app?: string; email?: string; close(): void }) {
  const [made, setMade] = useState<Invited>()
  return made ? <Link made={made} close={close} /> : <Ask app={app} email={email} done={setMade} close={close} />
}

const LASTS: [string, string][] = [
  ['1d', 'A day'],
  ['7d', 'A week'],
  ['30d', '30 days'],
]

function Ask({ app, email = '', done, close }: { app?: string; email?: string; done(made: Invited): void; close(): void }) {
  const client = useQueryClient()
  const form = useForm({
    initial: { email, role: 'viewer' as Role, app: app ?? '', expires_in: '7d' },
    submit: async (values, key) => {
      const [whom, where] = [values.email.trim(), values.app.trim()]
      const made = await invite({ role: values.role, expires_in: values.expires_in, email: whom || null, app: where || null }, key)
      await client.invalidateQueries({ queryKey: ['invitations'] })
      done(made)
    },
  })
  const place = form.values.app.trim() || undefined
  return (
    <FormDialog
      form={form}
      close={close}
      title={app === undefined ? 'Invite somebody' : `Invite somebody to ${app}`}
      description="It makes a link, which you hand over. Whoever opens it chooses a name and a password, and has the role."
      action="Make the link"
    >
      <Field label="E-mail" hint="What they sign in with. Empty: whoever has the link says one." error={form.errors.email}>
        <Input
          type="email"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          placeholder="zoe@example.org"
          value={form.values.email}
          onChange={(event) => form.set('email', event.target.value)}
        />
      </Field>
      {app === undefined ? (
        <Field label="App" hint="Empty: every app, and the server itself" error={form.errors.app}>
          <Input
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
            placeholder="every app"
            value={form.values.app}
            onChange={(event) => form.set('app', event.target.value)}
          />
        </Field>
      ) : null}
      <RoleField value={form.values.role} onChange={(role) => form.set('role', role)} app={place} error={form.errors.role} />
      <Field label="Good for" error={form.errors.expires_in}>
        <Select value={form.values.expires_in} onChange={(event) => form.set('expires_in', event.target.value)}>
          {LASTS.map(([value, word]) => (
            <option key={value} value={value}>
              {word}
            </option>
          ))}
        </Select>
      </Field>
    </FormDialog>
  )
}

function Link({ made: { invitation, secret, public_url }, close }: { made: Invited; close(): void }) {
  const { email, role, app, expires_at } = invitation
  return (
    <Dialog
      open
      firm
      onOpenChange={(open) => (open ? undefined : close())}
      title="The invitation is made"
      actions={
        <Button look="primary" onClick={close}>
          Done
        </Button>
      }
    >
      {secret ? (
        <div className="flex flex-col gap-3">
          <p>
            Hand this link to {email ?? 'whom you invite'}. Whoever opens it becomes {roleWord[role].toLowerCase()}{' '}
            {app ? `of ${app}` : 'everywhere'}; it is good once, and expires <Time at={expires_at} />.
          </p>
          <CodeBlock label="Link of the invitation" text={invitationLink(public_url ?? location.origin, secret)} />
          <Note tone="warn" title="It is shown this once">
            Plimsoll does not keep it. If it is lost, withdraw the invitation and make another.
          </Note>
        </div>
      ) : (
        <Note tone="warn" title="Its link can’t be shown any more">
          The answer of the first try was lost on its way, and the link with it. Withdraw the invitation and make another.
        </Note>
      )}
    </Dialog>
  )
}

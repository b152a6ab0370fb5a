// Making a token: chosen first, then shown once.
import { useQuery, useQueryClient, useSuspenseQuery } from '@tanstack/react-query'
import { Plus, X } from 'lucide-react'
import { useRef, useState } from 'react'
import { createToken } from '@/api/actions'
import { type Grants, roleAt } from '@/api/auth'
import { apps, me, tokens } from '@/api/queries'
import type { Created, Grant, Holder } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { ROLES } from '@/features/people/roles'
import { Button } from '@/ui/button'
import { Code, CodeBlock } from '@/ui/code'
import { Dialog } from '@/ui/dialog'
import { Checkbox, Field, Input, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { Note } from '@/ui/note'
import { LIFETIMES, grantWords, notToMake } from './words'

/** More are for the CLI. */
const MOST = 10

export function CreateToken({ close }: { close(): void }) {
  const [made, setMade] = useState<Created>()
  return made ? <Once made={made} close={close} /> : <Choose made={setMade} close={close} />
}

/** Where one has a role oneself. */
function first({ everywhere, apps = {} }: Grants): Grant {
  const app = everywhere ? undefined : Object.keys(apps).sort()[0]
  return app === undefined ? { role: 'viewer' } : { app, role: 'viewer' }
}

function Choose({ made, close }: { made(created: Created): void; close(): void }) {
  const { data: self } = useSuspenseQuery(me())
  const { data: known } = useQuery(apps({ limit: 500 }))
  const client = useQueryClient()
  const may = useMay()
  const form = useForm({
    initial: { name: '', holder: 'me' as Holder, grants: [first(self.grants)], expires_in: '90d', read_only: false },
    check: ({ name }) => ({
      name: /^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$/.test(name) ? undefined : 'Small letters, digits and hyphens; a letter first, 40 at most',
    }),
    submit: async ({ name, holder, grants, expires_in: lifetime, read_only }, key) => {
      const created = await createToken({ name, for: holder, grants, read_only, ...(lifetime === '' ? {} : { expires_in: lifetime }) }, key)
      await client.invalidateQueries(tokens())
      made(created)
    },
  })
  const { name, holder, grants } = form.values
  const change = (at: number, to: Partial<Grant>) =>
    form.set(
      'grants',
      grants.map((grant, index) => (index === at ? { ...grant, ...to } : grant)),
    )
  const places = known?.items.filter((app) => roleAt(self.grants, app.name)) ?? []
  return (
    <FormDialog
      form={form}
      close={close}
      title="New token"
      action="Make the token"
      off={notToMake(holder, grants, may)}
    >
      <Field label="Name" hint="What or who shows it: it is in the audit log." error={form.errors.name}>
        <Input
          value={name}
          placeholder="ci"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          onChange={(event) => form.set('name', event.target.value)}
        />
      </Field>
      <Field
        label="For"
        hint={
          holder === 'me'
            ? 'It acts in your name, is never worth more than you are, and ends with you.'
            : 'It acts in its own name, and stays when you go.'
        }
      >
        <Select value={holder} onChange={(event) => form.set('holder', event.target.value === 'machine' ? 'machine' : 'me')}>
          <option value="me">Me</option>
          <option value="machine">A machine</option>
        </Select>
      </Field>
      <fieldset className="flex flex-col gap-2">
        <legend className="mb-1 text-sm font-medium">What it may do</legend>
        {grants.map((grant, at) => (
          // Rows have nothing else to be told apart by, and hold no state of their own.
          // oxlint-disable-next-line react/no-array-index-key
          <div key={at} className="flex items-center gap-2">
            <Select
              aria-label={at === 0 ? 'Role' : `Role ${at + 1}`}
              value={grant.role}
              onChange={(event) => change(at, { role: ROLES.find((role) => role === event.target.value) ?? 'viewer' })}
            >
              {ROLES.map((role) => (
                <option key={role}>{role}</option>
              ))}
            </Select>
            <Select
              aria-label={at === 0 ? 'Where' : `Where ${at + 1}`}
              value={grant.app ?? ''}
              onChange={(event) => change(at, { app: event.target.value || undefined })}
            >
              <option value="">everywhere</option>
              {grant.app && !places.some((app) => app.name === grant.app) ? <option value={grant.app}>at {grant.app}</option> : null}
              {places.map((app) => (
                <option key={app.id} value={app.name}>
                  at {app.name}
                </option>
              ))}
            </Select>
            {grants.length > 1 ? (
              <Button
                look="quiet"
                size="icon"
                aria-label={`Without ${grantWords(grant)}`}
                onClick={() => form.set('grants', grants.toSpliced(at, 1))}
              >
                <X aria-hidden />
              </Button>
            ) : null}
          </div>
        ))}
        <Button
          size="sm"
          look="quiet"
          className="self-start"
          disabledReason={grants.length >= MOST ? `There are ${MOST}; the command line takes more` : undefined}
          onClick={() => form.set('grants', [...grants, first(self.grants)])}
        >
          <Plus aria-hidden /> Another role
        </Button>
      </fieldset>
      <Checkbox
        label="It only looks"
        hint="Whatever its roles are, it changes nothing."
        checked={form.values.read_only}
        onChange={(event) => form.set('read_only', event.target.checked)}
      />
      <Field label="Ends" error={form.errors.expires_in}>
        <Select value={form.values.expires_in} onChange={(event) => form.set('expires_in', event.target.value)}>
          {LIFETIMES.map(([value, word]) => (
            <option key={value} value={value}>
              {word}
            </option>
          ))}
        </Select>
      </Field>
    </FormDialog>
  )
}

/** The token itself: it is nowhere else, so a click beside it does not put it away. */
function Once({ made: { token, secret }, close }: { made: Created; close(): void }) {
  const done = useRef<HTMLButtonElement>(null)
  return (
    <Dialog
      open
      firm
      focus={done}
      onOpenChange={(open) => (open ? undefined : close())}
      title={`The token ${token.name}`}
      actions={
        <Button ref={done} look="primary" onClick={close}>
          {secret ? 'I have put it in its place' : 'Close'}
        </Button>
      }
    >
      {secret ? (
        <div className="flex flex-col gap-3">
          <Note tone="warn" title="It is shown this once">
            Put it where it is used, and nowhere else: whoever has it is let in. Only a hash of it is kept here.
          </Note>
          <CodeBlock label="The token" text={secret} />
          <p className="text-sm text-muted">
            Commands find it in <Code>PLIMSOLL_TOKEN</Code> or with <Code>--token-file</Code>; programs send it as{' '}
            <Code>Authorization: Bearer …</Code>
          </p>
        </div>
      ) : (
        <Note tone="bad" urgent title="It was made, and its answer was lost on the way">
          A token is told once, and nobody saw this one. Revoke {token.name}, and make another.
        </Note>
      )}
    </Dialog>
  )
}

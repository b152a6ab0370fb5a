// The mail server, named or changed. Its password goes in and never comes out.
import { useQueryClient } from '@tanstack/react-query'
import type { Encryption, Mail } from '@/api/schema'
import { mail, setMail } from '@/api/settings'
import { Field, Input, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { useToast } from '@/ui/toast'
import { ENCRYPTIONS, mailValues, newMail, portFor, wrongMail } from './words'

/** Changes `server`; names one without. */
export default function EditMail({ server, close }: { server?: Mail['server']; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const form = useForm({
    initial: mailValues(server),
    check: wrongMail,
    submit: async (values, key) => {
      client.setQueryData(mail().queryKey, await setMail(newMail(values), key))
      toast.show({ tone: 'good', title: 'Mail leaves by this server from now on.', children: 'Test a channel of the kind mail to see whether it arrives.' })
      close()
    },
  })
  const { values, set, errors } = form
  return (
    <FormDialog
      form={form}
      close={close}
      title={server ? 'Change the mail server' : 'Name a mail server'}
      action={server ? 'Change' : 'Name it'}
      safe={server ? 'Keep as it is' : 'Not now'}
    >
      <div className="grid items-start gap-4 sm:grid-cols-[1fr_7rem]">
        <Field label="Host" hint="One that is not public must be allowed when the server is started: --allow-outgoing" error={errors.host}>
          <Input value={values.host} maxLength={253} autoComplete="off" autoCapitalize="none" spellCheck={false} placeholder="mail.example.org" onChange={(event) => set('host', event.target.value)} />
        </Field>
        <Field label="Port" error={errors.port}>
          <Input value={values.port} inputMode="numeric" autoComplete="off" onChange={(event) => set('port', event.target.value)} />
        </Field>
      </div>
      <Field label="Encryption" hint={values.encryption === 'none' ? 'Only in a network of your own: whoever is on the way can read it.' : undefined} error={errors.encryption}>
        <Select
          value={values.encryption}
          onChange={(event) => {
            const encryption = event.target.value as Encryption
            set('port', portFor(encryption, values))
            set('encryption', encryption)
          }}
        >
          {Object.entries(ENCRYPTIONS).map(([value, word]) => (
            <option key={value} value={value}>
              {word}
            </option>
          ))}
        </Select>
      </Field>
      <Field label="From" hint="Whom mails are from" error={errors.from}>
        <Input value={values.from} maxLength={254} autoComplete="off" autoCapitalize="none" spellCheck={false} placeholder="Plimsoll <plimsoll@example.org>" onChange={(event) => set('from', event.target.value)} />
      </Field>
      <div className="grid items-start gap-4 sm:grid-cols-2">
        <Field label="User" hint="Empty: it takes mail from here without" error={errors.user}>
          <Input value={values.user} maxLength={254} autoComplete="off" autoCapitalize="none" spellCheck={false} onChange={(event) => set('user', event.target.value)} />
        </Field>
        <Field label="Password" hint={server?.user ? 'Set. It is never shown, and given again with every change.' : 'It is sealed, and nobody can read it back.'} error={errors.password}>
          {/* Of the mail server: not the one that the browser knows for this page. */}
          <Input type="password" value={values.password} autoComplete="new-password" onChange={(event) => set('password', event.target.value)} />
        </Field>
      </div>
    </FormDialog>
  )
}

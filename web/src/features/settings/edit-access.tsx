// The provider by which people sign in, set up or changed. The server asks it for its description before it says yes.
import { useQueryClient } from '@tanstack/react-query'
import type { AuthSettings } from '@/api/schema'
import { access, setAccess } from '@/api/settings'
import { Checkbox, Field, Input } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { useToast } from '@/ui/toast'
import { keepsSecret, providerValues, setProvider, wrongProvider } from './words'

/** Changes `provider`; sets one up without. */
export default function EditAccess({ provider, close }: { provider?: AuthSettings['oidc']; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const form = useForm({
    initial: providerValues(provider),
    check: (values) => wrongProvider(values, provider),
    submit: async (values, key) => {
      client.setQueryData(access().queryKey, await setAccess(setProvider(values), key))
      await client.invalidateQueries({ queryKey: ['auth', 'methods'] })
      toast.show({ tone: 'good', title: `People sign in by ${values.name.trim()} from now on.`, children: 'Try it in a private window before you sign out.' })
      close()
    },
  })
  const { values, set, errors } = form
  return (
    <FormDialog
      form={form}
      close={close}
      title={provider ? 'Change the provider' : 'Set up a provider'}
      description="The server asks it for its description first, and refuses one that calls itself something else."
      action={provider ? 'Change' : 'Set it up'}
      safe={provider ? 'Keep as it is' : 'Not now'}
    >
      <Field label="Name" hint="What the button says after “Sign in with”" error={errors.name}>
        <Input value={values.name} maxLength={60} autoComplete="off" placeholder="Example Inc." onChange={(event) => set('name', event.target.value)} />
      </Field>
      <Field label="Address" hint="As it calls itself, letter for letter. Without TLS or on a private network it must be allowed when the server is started: --allow-outgoing" error={errors.issuer}>
        <Input value={values.issuer} maxLength={500} autoComplete="off" autoCapitalize="none" spellCheck={false} placeholder="https://id.example.org" onChange={(event) => set('issuer', event.target.value)} />
      </Field>
      <div className="grid items-start gap-4 sm:grid-cols-2">
        <Field label="Client id" error={errors.client_id}>
          <Input value={values.client_id} maxLength={255} autoComplete="off" autoCapitalize="none" spellCheck={false} placeholder="plimsoll" onChange={(event) => set('client_id', event.target.value)} />
        </Field>
        <Field
          label="Client secret"
          hint={keepsSecret(values, provider) ? 'Set. Empty: it stays as it is.' : 'It is sealed, and nobody can read it back.'}
          error={errors.client_secret}
        >
          <Input type="password" value={values.client_secret} autoComplete="new-password" onChange={(event) => set('client_secret', event.target.value)} />
        </Field>
      </div>
      <Field label="Scopes" hint="What is asked for besides openid, with spaces between; addresses and names are in these two, as a rule" error={errors.scopes}>
        <Input value={values.scopes} autoComplete="off" autoCapitalize="none" spellCheck={false} onChange={(event) => set('scopes', event.target.value)} />
      </Field>
      <Checkbox
        label="Know people who are here already by their address"
        hint="By one that the provider has verified. Only for a provider at which nobody can have another one’s address: whoever has it there is that person here."
        checked={values.link_by_email}
        onChange={(event) => set('link_by_email', event.target.checked)}
      />
    </FormDialog>
  )
}

import { useQueryClient } from '@tanstack/react-query'
import type { ChangeEvent } from 'react'
import { addCertificate } from '@/api/upkeep'
import { Checkbox, Field, Input, TextArea } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { plural } from '@/ui/format'
import { useToast } from '@/ui/toast'

const PEM = /-----BEGIN [A-Z ]+-----/

export default function AddCertificate({ close }: { close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const form = useForm({
    initial: { certificate: '', key: '', default: false },
    check: ({ certificate, key }) => ({
      certificate: PEM.test(certificate) ? undefined : 'The text of a PEM file, with its -----BEGIN CERTIFICATE-----',
      key: PEM.test(key) ? undefined : 'The text of a PEM file, with its -----BEGIN PRIVATE KEY-----',
    }),
    submit: async (values, key) => {
      const { names, replaced } = await addCertificate(values, key)
      await Promise.all([['certificates'], ['overview']].map((queryKey) => client.invalidateQueries({ queryKey })))
      toast.show({
        tone: 'good',
        title: `${names.join(', ')} answer over HTTPS with it from now on.`,
        children: replaced.length > 0 ? `In the place of ${plural(replaced.length, 'older one')}.` : undefined,
      })
      close()
    },
  })
  const { values, set, errors } = form
  const pem = (name: 'certificate' | 'key') => (
    <>
      <TextArea
        value={values[name]}
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        className="h-28 font-mono text-xs max-sm:text-lg"
        onChange={(event) => set(name, event.target.value)}
      />
    </>
  )
  const read = (name: 'certificate' | 'key') => async (event: ChangeEvent<HTMLInputElement>) => {
    const file = event.target.files?.[0]
    if (file) set(name, await file.text())
  }
  return (
    <FormDialog
      form={form}
      close={close}
      title="Add a certificate"
      description="It is shown for the names that stand in it, in the place of an older one with the same names."
      action="Add"
      className="sm:w-[40rem]"
    >
      <Field label="Certificate" hint="PEM: its own first, then its issuer’s, and so on." error={errors.certificate}>
        {pem('certificate')}
      </Field>
      <Field label="Certificate from a file">
        <Input type="file" accept=".pem,.crt,.cer" className="py-1.5 text-sm" onChange={(event) => void read('certificate')(event)} />
      </Field>
      <Field label="Key" hint="PEM, not encrypted. It is sealed, and nobody can read it back." error={errors.key}>
        {pem('key')}
      </Field>
      <Field label="Key from a file">
        <Input type="file" accept=".pem,.key" className="py-1.5 text-sm" onChange={(event) => void read('key')(event)} />
      </Field>
      <Checkbox
        label="Show it to everybody else, too"
        hint="To clients that ask for a name which no certificate has, or for none."
        checked={values.default}
        onChange={(event) => set('default', event.target.checked)}
      />
    </FormDialog>
  )
}

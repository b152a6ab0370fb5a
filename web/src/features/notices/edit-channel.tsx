// A channel, made or changed. What is secret of it goes in and never comes out.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { createChannel, updateChannel } from '@/api/notices'
import { apps } from '@/api/queries'
import type { Channel, ChannelKind, Target } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { CodeBlock } from '@/ui/code'
import { CloseButton, Dialog } from '@/ui/dialog'
import { Checkbox, Field, Input, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { useToast } from '@/ui/toast'
import { KINDS, TOPICS, USUAL, listed, topicWord } from './words'

/** Changes `channel`; makes one without. */
export default function EditChannel({ channel, close }: { channel?: Channel; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const may = useMay()
  const [secret, setSecret] = useState<string>()
  const everywhere = may('admin') === undefined
  const form = useForm({
    initial: {
      kind: channel?.kind ?? ('slack' as ChannelKind),
      app: channel ? (channel.app ?? '') : everywhere ? '' : undefined,
      name: channel?.name ?? '',
      url: '',
      to: channel?.to?.join(', ') ?? '',
      topics: channel?.topics ?? USUAL,
      environments: channel?.environments.join(', ') ?? '',
    },
    check: ({ app, name, kind, url, to, topics }) => ({
      app: app === undefined ? 'Which app it is told of' : undefined,
      name: name.trim() === '' ? 'What people call it' : undefined,
      url: kind === 'mail' || (channel && url === '') || /^https?:\/\/\S+$/.test(url.trim()) ? undefined : 'The whole address, with https://',
      to: kind !== 'mail' || listed(to).length > 0 ? undefined : 'One mailbox at least',
      topics: topics.length === 0 ? 'One at least; turn the channel off to tell it nothing' : undefined,
    }),
    submit: async ({ kind, app, name, url, to, topics, environments }, key) => {
      const target: Target | undefined = kind === 'mail' ? { kind, to: listed(to) } : url === '' ? undefined : { kind, url: url.trim() }
      const told = { name: name.trim(), topics, environments: listed(environments) }
      if (channel) await updateChannel(channel.id, { ...told, ...(target ? { target } : {}) }, key)
      else if (target) {
        const made = await createChannel({ ...told, app: app || null, target }, key)
        await client.invalidateQueries({ queryKey: ['channels'] })
        if (made.secret) {
          setSecret(made.secret)
          return
        }
      }
      await client.invalidateQueries({ queryKey: ['channels'] })
      toast.show({ tone: 'good', title: channel ? `The channel ${told.name} is changed.` : `The channel ${told.name} is made. Send a test to see whether it arrives.` })
      close()
    },
  })
  if (secret !== undefined) return <Once name={form.values.name} secret={secret} close={close} />
  const { values, set, errors } = form
  return (
    <FormDialog
      form={form}
      close={close}
      title={channel ? `Change the channel ${channel.name}` : 'New channel'}
      action={channel ? 'Change' : 'Make the channel'}
      safe={channel ? 'Keep as it is' : 'Not now'}
    >
      {channel ? null : (
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label="Way">
            <Select value={values.kind} onChange={(event) => set('kind', event.target.value as ChannelKind)}>
              {Object.entries(KINDS).map(([value, word]) => (
                <option key={value} value={value}>
                  {word}
                </option>
              ))}
            </Select>
          </Field>
          <Of value={values.app} onChange={(app) => set('app', app)} error={errors.app} everywhere={everywhere} />
        </div>
      )}
      <Field label="Name" error={errors.name}>
        <Input value={values.name} maxLength={60} autoComplete="off" placeholder="on call" onChange={(event) => set('name', event.target.value)} />
      </Field>
      {values.kind === 'mail' ? (
        <Field label="To" hint="Mailboxes, with commas between" error={errors.to}>
          <Input value={values.to} autoComplete="off" autoCapitalize="none" spellCheck={false} placeholder="ann@example.org, on-call@example.org" onChange={(event) => set('to', event.target.value)} />
        </Field>
      ) : (
        <Field
          label={values.kind === 'slack' ? 'Address that Slack gave' : 'Address'}
          hint={channel ? `Empty: as it is, at ${channel.address}. It is sealed, and nobody can read it back.` : 'It is sealed, and nobody can read it back.'}
          error={errors.url}
        >
          {/* Whoever reads over a shoulder could write there. */}
          <Input type="password" value={values.url} autoComplete="off" spellCheck={false} onChange={(event) => set('url', event.target.value)} />
        </Field>
      )}
      <fieldset className="flex flex-col gap-1.5">
        <legend className="mb-1 text-sm font-medium">Told when</legend>
        {TOPICS.map((topic) => (
          <Checkbox
            key={topic}
            label={topicWord(topic)}
            checked={values.topics.includes(topic)}
            onChange={(event) => set('topics', event.target.checked ? [...values.topics, topic] : values.topics.filter((other) => other !== topic))}
          />
        ))}
        {errors.topics ? (
          <p className="text-sm text-bad" role="alert">
            {errors.topics}
          </p>
        ) : null}
      </fieldset>
      <Field label="Environments" hint="Names with commas between; empty: all of them" error={errors.environments}>
        <Input value={values.environments} autoComplete="off" autoCapitalize="none" spellCheck={false} placeholder="production" onChange={(event) => set('environments', event.target.value)} />
      </Field>
    </FormDialog>
  )
}

function Of({ value, onChange, error, everywhere }: { value?: string; onChange(app: string): void; error?: string; everywhere: boolean }) {
  const may = useMay()
  const { data: known } = useQuery(apps({ limit: 500 }))
  return (
    <Field label="Of" error={error}>
      <Select value={value ?? '?'} onChange={(event) => onChange(event.target.value)}>
        {everywhere ? <option value="">All apps and the server</option> : <option value="?">Choose one</option>}
        {(known?.items ?? [])
          .filter(({ name }) => may('admin', name) === undefined)
          .map(({ name }) => (
            <option key={name} value={name}>
              {name}
            </option>
          ))}
      </Select>
    </Field>
  )
}

const Once = ({ name, secret, close }: { name: string; secret: string; close(): void }) => (
  <Dialog
    open
    onOpenChange={(open) => (open ? undefined : close())}
    firm
    title={`The secret of ${name}`}
    description="The receiver checks with it that a request is from here. It is told this once."
    actions={<CloseButton>I have put it in its place</CloseButton>}
  >
    <CodeBlock label="The secret" text={secret} />
  </Dialog>
)

// Deploying: what will happen is said first; one click too many is still one deployment.
import { useNavigate } from '@tanstack/react-router'
import { Rocket } from 'lucide-react'
import { useState } from 'react'
import { deploy } from '@/api/actions'
import type { App, DeploymentsDeployRequest, Priority } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Dialog } from '@/ui/dialog'
import { Field, Input, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { Note } from '@/ui/note'
import { SourceWords } from './source'

interface Props {
  app: App
  environment: string
  size?: 'sm' | 'md'
  look?: 'primary' | 'plain'
}

export function DeployButton({ app, environment, size, look }: Props) {
  const may = useMay()
  const [open, setOpen] = useState(false)
  const reason =
    may('deployer', app.name) ?? (app.source ? undefined : 'The app has no source yet: deploy it once with `plimsoll deploy`, or set its source')
  return (
    <>
      <Button size={size} look={look} disabledReason={reason} onClick={() => setOpen(true)}>
        <Rocket aria-hidden /> Deploy
        {size === 'sm' ? (
          <span className="sr-only">
            {app.name} / {environment}
          </span>
        ) : null}
      </Button>
      {open ? <DeployDialog app={app} environment={environment} close={() => setOpen(false)} /> : null}
    </>
  )
}

const PRIORITIES: [Priority, string][] = [
  ['normal', 'Normal'],
  ['high', 'High: before normal ones that wait'],
  ['critical', 'Critical: before all others'],
  ['low', 'Low: lets others go first'],
]

function DeployDialog({ app, environment, close }: { app: App; environment: string; close(): void }) {
  const navigate = useNavigate()
  const git = app.source?.kind === 'git' ? app.source : undefined
  const form = useForm({
    initial: { reference: '', priority: 'normal' as Priority, not_before: '' },
    check: ({ not_before }) => ({
      not_before: not_before !== '' && Date.parse(not_before) < Date.now() ? 'A time that is still to come' : undefined,
    }),
    submit: async ({ reference, priority, not_before }, key) => {
      const order: DeploymentsDeployRequest = { priority }
      if (reference.trim() !== '') order.reference = reference.trim()
      if (not_before !== '') order.not_before = new Date(not_before).toISOString()
      const { id } = await deploy(app.name, environment, order, key)
      close()
      await navigate(to.deployment(id))
    },
  })
  const zone = new Intl.DateTimeFormat().resolvedOptions().timeZone
  return (
    <Dialog
      open
      onOpenChange={(open) => (open || form.busy ? undefined : close())}
      title={`Deploy ${app.name} to ${environment}`}
      description={app.source ? <SourceWords source={app.source} /> : undefined}
      actions={
        <>
          <Button onClick={close}>Not now</Button>
          <Button look="primary" type="submit" form="deploy" busy={form.busy}>
            <Rocket aria-hidden /> Deploy
          </Button>
        </>
      }
    >
      <form id="deploy" onSubmit={form.onSubmit} noValidate className="flex flex-col gap-4">
        {git ? (
          <Field
            label="Branch, tag or commit"
            hint={git.reference ? `Empty: ${git.reference}` : 'Empty: the repository’s default branch'}
            error={form.errors.reference}
          >
            <Input
              value={form.values.reference}
              placeholder={git.reference ?? 'default branch'}
              spellCheck={false}
              autoCapitalize="none"
              autoComplete="off"
              onChange={(event) => form.set('reference', event.target.value)}
            />
          </Field>
        ) : null}
        <div className="grid gap-4 sm:grid-cols-2">
          <Field label="Priority" error={form.errors.priority}>
            <Select value={form.values.priority} onChange={(event) => form.set('priority', event.target.value as Priority)}>
              {PRIORITIES.map(([value, word]) => (
                <option key={value} value={value}>
                  {word}
                </option>
              ))}
            </Select>
          </Field>
          <Field label="Not before" hint={`Empty: as soon as its turn comes. ${zone}`} error={form.errors.not_before}>
            <Input type="datetime-local" value={form.values.not_before} onChange={(event) => form.set('not_before', event.target.value)} />
          </Field>
        </div>
        <p className="text-sm text-muted">
          What serves now keeps serving until the new release answers. If it does not, nothing changes for visitors.
        </p>
        {form.trouble ? (
          <Note tone="bad" urgent title={form.trouble.detail}>
            {form.trouble.hint}
          </Note>
        ) : null}
      </form>
    </Dialog>
  )
}

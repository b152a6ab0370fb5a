// Deploying: what will happen is said first; one click too many is still one deployment.
import { useNavigate } from '@tanstack/react-router'
import { Rocket } from 'lucide-react'
import { deploy } from '@/api/actions'
import type { App, DeploymentsDeployRequest, Priority } from '@/api/schema'
import { PRIORITIES } from '@/features/queue/priorities'
import { to } from '@/paths'
import { useHome } from '@/preferences'
import { Button } from '@/ui/button'
import { CloseButton, Dialog } from '@/ui/dialog'
import { Field, Input, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { InstantField, meant, wrong } from '@/ui/instant-field'
import { Note } from '@/ui/note'
import { SourceWords } from './source'

export default function DeployDialog({ app, environment, close }: { app: App; environment: string; close(): void }) {
  const navigate = useNavigate()
  const home = useHome()
  const git = app.source?.kind === 'git' ? app.source : undefined
  const form = useForm({
    initial: { reference: '', priority: 'normal' as Priority, not_before: { local: '', zone: home, later: false } },
    check: ({ not_before }) => ({ not_before: wrong(not_before) }),
    submit: async ({ reference, priority, not_before }, key) => {
      const order: DeploymentsDeployRequest = { priority }
      if (reference.trim() !== '') order.reference = reference.trim()
      const at = meant(not_before)
      if (at !== undefined) order.not_before = at
      const { id } = await deploy(app.name, environment, order, key)
      close()
      await navigate(to.deployment(id))
    },
  })
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : close())}
      busy={form.busy}
      title={`Deploy ${app.name} to ${environment}`}
      description={app.source ? <SourceWords source={app.source} /> : undefined}
      actions={
        <>
          <CloseButton>Not now</CloseButton>
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
        <Field label="Priority" error={form.errors.priority}>
          <Select value={form.values.priority} onChange={(event) => form.set('priority', event.target.value as Priority)}>
            {PRIORITIES.map(([value, word]) => (
              <option key={value} value={value}>
                {word}
              </option>
            ))}
          </Select>
        </Field>
        <InstantField
          label="Not before"
          hint="Empty: as soon as its turn comes"
          value={form.values.not_before}
          onChange={(at) => form.set('not_before', at)}
          error={form.errors.not_before}
          home={home}
        />
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

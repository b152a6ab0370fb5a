// How many deployments of an app may be at work at the same time.
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { setConcurrency } from '@/api/apps'
import type { AppDetail } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { Field, Input } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { number, plural } from '@/ui/format'
import { useToast } from '@/ui/toast'

/** As the API takes it. */
const MOST = 1000

export function ConcurrencyCard({ app }: { app: AppDetail }) {
  const off = useMay()('admin', app.name)
  const [editing, setEditing] = useState(false)
  return (
    <Card
      title="At the same time"
      aside={
        <Button size="sm" disabledReason={off} onClick={() => setEditing(true)}>
          Change<span className="sr-only"> how many at the same time</span>
        </Button>
      }
    >
      <p>
        At most <strong className="tabular">{plural(app.concurrency, 'deployment')}</strong> of {app.name} at work; others wait in the queue.
      </p>
      {editing ? <Edit app={app} close={() => setEditing(false)} /> : null}
    </Card>
  )
}

function Edit({ app: { name: app, concurrency }, close }: { app: AppDetail; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const form = useForm({
    initial: { limit: String(concurrency) },
    check: ({ limit }) => ({
      limit: /^\d+$/.test(limit) && Number(limit) >= 1 && Number(limit) <= MOST ? undefined : `A whole number from 1 to ${number(MOST)}`,
    }),
    submit: async ({ limit }, key) => {
      await setConcurrency(app, Number(limit), key)
      await Promise.all([['apps'], ['queue']].map((queryKey) => client.invalidateQueries({ queryKey })))
      toast.show({ tone: 'good', title: `At most ${plural(Number(limit), 'deployment')} of ${app} at the same time from now on.` })
      close()
    },
  })
  return (
    <FormDialog
      form={form}
      close={close}
      title={`Deployments of ${app} at the same time`}
      description="Each environment has one at a time, however many these are. What is at work is not stopped."
      action="Change"
      safe="Keep as it is"
      off={form.changed ? undefined : 'It is that already'}
    >
      <Field label="At most" error={form.errors.limit}>
        <Input inputMode="numeric" autoComplete="off" value={form.values.limit} onChange={(event) => form.set('limit', event.target.value.trim())} />
      </Field>
    </FormDialog>
  )
}

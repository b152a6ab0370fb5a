// A vote: what it is for is said once more, and it is for nothing else.
import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { vote } from '@/api/approvals'
import { ApiError } from '@/api/errors'
import type { Approval, Verdict } from '@/api/schema'
import { Button } from '@/ui/button'
import { Code } from '@/ui/code'
import { CloseButton, Dialog } from '@/ui/dialog'
import { Field, TextArea } from '@/ui/field'
import { useForm } from '@/ui/form'
import { Note } from '@/ui/note'
import { useToast } from '@/ui/toast'
import { askedOf } from './words'

export default function Vote({ approval, verdict, close }: { approval: Approval; verdict: Verdict; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const safe = useRef<HTMLButtonElement>(null)
  // What was seen when the dialog was opened is what the vote is for, whatever comes meanwhile.
  const [{ subject, subject_note: note, got, required }] = useState(approval)
  const approves = verdict === 'approve'
  const last = got + 1 >= required
  const form = useForm({
    initial: { comment: '' },
    submit: async ({ comment }, key) => {
      const refresh = () => Promise.all([['approvals'], ['queue'], ['deployments']].map((queryKey) => client.invalidateQueries({ queryKey })))
      try {
        await vote(approval.id, { subject, verdict, ...(comment.trim() === '' ? {} : { comment: comment.trim() }) }, key)
      } catch (error) {
        // Somebody was quicker, or what would run has changed: the page behind shows it.
        if (error instanceof ApiError) void refresh()
        throw error
      }
      await refresh()
      toast.show({ tone: 'good', title: approves ? (last ? 'Approved: it begins as soon as its turn comes.' : 'You approved of it. Others are asked, too.') : 'Refused: the deployment has ended.' })
      close()
    },
  })
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : close())}
      busy={form.busy}
      title={approves ? 'Approve of this?' : 'Refuse this?'}
      description={askedOf(approval)}
      focus={safe}
      actions={
        <>
          <CloseButton ref={safe}>
            Not now
          </CloseButton>
          <Button look={approves ? 'primary' : 'danger'} type="submit" form="vote" busy={form.busy}>
            {approves ? 'Approve' : 'Refuse'}
          </Button>
        </>
      }
    >
      <form id="vote" onSubmit={form.onSubmit} noValidate className="flex flex-col gap-4">
        <div>
          <p className="font-medium break-words">{note}</p>
          <p className="mt-1 text-sm break-all text-muted">
            Exactly <Code>{subject}</Code>: nothing else runs by this vote.
          </p>
        </div>
        <p className="text-sm text-muted">
          {approves
            ? last
              ? 'Yours is the last vote that is missing: the deployment begins as soon as its turn comes.'
              : 'It begins when the others have approved, too.'
            : 'One person who refuses ends it. The deployment is cancelled before it began, and what serves stays.'}
        </p>
        <Field label="Comment" hint="Everybody who sees the app can read it." error={form.errors.comment}>
          <TextArea value={form.values.comment} maxLength={500} onChange={(event) => form.set('comment', event.target.value)} />
        </Field>
        {form.trouble ? (
          <Note tone="bad" urgent title={form.trouble.detail}>
            {form.trouble.hint}
          </Note>
        ) : null}
      </form>
    </Dialog>
  )
}

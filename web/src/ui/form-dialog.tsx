// A dialog that is one form: the safe button, the one that sends it, and what went wrong.
import { type ReactNode, useId } from 'react'
import { Button } from './button'
import { CloseButton, Dialog } from './dialog'
import type { Form } from './form'
import { Note } from './note'
import { Words } from './words'

interface Props {
  form: Pick<Form<object>, 'busy' | 'trouble' | 'onSubmit'>
  close(): void
  title: string
  /** One sentence below the title. */
  description?: ReactNode
  /** What the button that sends it says: a verb. */
  action: ReactNode
  /** Why it can't be sent now. */
  off?: string
  safe?: string
  className?: string
  children: ReactNode
}

export function FormDialog({ form, close, title, description, action, off, safe = 'Not now', className, children }: Props) {
  const id = useId()
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : close())}
      busy={form.busy}
      title={title}
      description={description}
      className={className}
      actions={
        <>
          <CloseButton>{safe}</CloseButton>
          <Button look="primary" type="submit" form={id} busy={form.busy} disabledReason={off}>
            {action}
          </Button>
        </>
      }
    >
      <form id={id} onSubmit={form.onSubmit} noValidate className="flex flex-col gap-4">
        {children}
        {form.trouble ? (
          <Note tone="bad" urgent title={<Words text={form.trouble.detail} />}>
            {form.trouble.hint ? <Words text={form.trouble.hint} /> : null}
          </Note>
        ) : null}
      </form>
    </Dialog>
  )
}

// The one way to ask before something happens. It says what will happen; the safe button has the focus.
import { type ReactNode, createContext, use, useCallback, useMemo, useRef, useState } from 'react'
import { Button } from './button'
import { Dialog } from './dialog'
import { explain } from '@/api/errors'
import { Field, Input } from './field'
import { Note } from './note'

interface Question {
  title: string
  /** What will happen, a line each: which release, which addresses, how many instances. */
  will: ReactNode[]
  /** What the button that does it says: a verb. */
  action: string
  /** It can't be taken back, or visitors notice. */
  danger?: boolean
  /** Must be typed before it can be done. */
  type?: string
  /** Does it. The dialog stays until it is done, and shows why it could not be. */
  run(): Promise<unknown>
}

type Confirm = (question: Question) => void

const Context = createContext<Confirm>(() => {
  throw new Error('ConfirmProvider is missing')
})

export const useConfirm = () => use(Context)

export function ConfirmProvider({ children }: { children: ReactNode }) {
  const [question, setQuestion] = useState<Question>()
  const [open, setOpen] = useState(false)
  const confirm = useCallback((next: Question) => {
    setQuestion(next)
    setOpen(true)
  }, [])
  const value = useMemo(() => confirm, [confirm])
  return (
    <Context value={value}>
      {children}
      {question ? <Ask key={question.title} question={question} open={open} close={() => setOpen(false)} /> : null}
    </Context>
  )
}

function Ask({ question, open, close }: { question: Question; open: boolean; close(): void }) {
  const { title, will, action, danger, type, run } = question
  const safe = useRef<HTMLButtonElement>(null)
  const [typed, setTyped] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const dismiss = () => {
    if (busy) return
    setTyped('')
    setError(undefined)
    close()
  }
  const go = async () => {
    setBusy(true)
    setError(undefined)
    try {
      await run()
      setTyped('')
      close()
    } catch (caught) {
      setError(caught)
    } finally {
      setBusy(false)
    }
  }
  const wrong = type !== undefined && typed !== type
  const trouble = error === undefined ? undefined : explain(error)
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => (next ? undefined : dismiss())}
      title={title}
      focus={safe}
      firm={busy}
      actions={
        <>
          <Button ref={safe} onClick={dismiss}>
            Keep as it is
          </Button>
          <Button
            look={danger ? 'danger' : 'primary'}
            busy={busy}
            disabledReason={wrong ? `Type ${type} above first` : undefined}
            onClick={() => void go()}
          >
            {action}
          </Button>
        </>
      }
    >
      <ul className="space-y-1.5">
        {will.map((line, index) => (
          // The lines of one question never change their order.
          // oxlint-disable-next-line react/no-array-index-key
          <li key={index} className="flex gap-2.5">
            <span className="mt-2 size-1.5 shrink-0 rounded-full bg-edge" aria-hidden />
            <span className="min-w-0">{line}</span>
          </li>
        ))}
      </ul>
      {type === undefined ? null : (
        <Field className="mt-4" label={<>Type <strong className="select-all">{type}</strong> to go on</>}>
          <Input value={typed} onChange={(event) => setTyped(event.target.value)} autoComplete="off" spellCheck={false} />
        </Field>
      )}
      {trouble ? (
        <Note tone="bad" className="mt-4" title={trouble.detail}>
          {trouble.hint}
        </Note>
      ) : null}
    </Dialog>
  )
}

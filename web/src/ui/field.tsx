// Fields are the browser's own: they are known to every hand and every reader.
import { type ComponentProps, type ReactNode, createContext, use, useId } from 'react'
import { cn } from './cn'
import { Words } from './words'

interface Wiring {
  id: string
  describedBy?: string
  invalid: boolean
}

const Context = createContext<Wiring | undefined>(undefined)

interface Props {
  label: ReactNode
  hint?: ReactNode
  /** What is wrong with it, and what would be right. */
  error?: string
  children: ReactNode
  className?: string
}

export function Field({ label, hint, error, children, className }: Props) {
  const id = useId()
  const describedBy = [hint ? `${id}-hint` : '', error ? `${id}-error` : ''].filter(Boolean).join(' ') || undefined
  return (
    <div className={cn('flex flex-col gap-1', className)}>
      <label htmlFor={id} className="text-sm font-medium">
        {label}
      </label>
      <Context value={{ id, describedBy, invalid: error !== undefined }}>{children}</Context>
      {hint ? (
        <p id={`${id}-hint`} className="text-xs text-muted">
          {hint}
        </p>
      ) : null}
      {error ? (
        <p id={`${id}-error`} className="text-sm text-bad" role="alert">
          <Words text={error} />
        </p>
      ) : null}
    </div>
  )
}

// 16 px on phones: smaller text makes their browsers zoom in.
const look =
  'touch w-full rounded-md border border-edge bg-surface px-2.5 text-base max-sm:text-lg placeholder:text-muted hover:border-text/60 aria-invalid:border-bad disabled:bg-sunken'

function wired(context: Wiring | undefined) {
  return context && { id: context.id, 'aria-describedby': context.describedBy, 'aria-invalid': context.invalid || undefined }
}

export const Input = ({ className, ...rest }: ComponentProps<'input'>) => (
  <input {...wired(use(Context))} {...rest} className={cn(look, 'h-9', className)} />
)

export const TextArea = ({ className, ...rest }: ComponentProps<'textarea'>) => (
  <textarea {...wired(use(Context))} {...rest} className={cn(look, 'min-h-20 py-2', className)} />
)

export const Select = ({ className, ...rest }: ComponentProps<'select'>) => (
  <select {...wired(use(Context))} {...rest} className={cn(look, 'h-9 pr-8', className)} />
)

/** A box with its words beside it. */
export function Checkbox({ label, hint, className, ...rest }: ComponentProps<'input'> & { label: ReactNode; hint?: ReactNode }) {
  const id = useId()
  return (
    <div className={cn('flex gap-2.5', className)}>
      <input
        {...rest}
        id={id}
        type="checkbox"
        aria-describedby={hint ? `${id}-hint` : undefined}
        className="mt-0.5 size-4.5 shrink-0 accent-accent"
      />
      <div>
        <label htmlFor={id}>{label}</label>
        {hint ? (
          <p id={`${id}-hint`} className="text-xs text-muted">
            {hint}
          </p>
        ) : null}
      </div>
    </div>
  )
}

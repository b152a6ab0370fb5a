// Messages about what has just happened. Said politely to who hears the page; errors stay until they are put away.
import { X } from 'lucide-react'
import { type ReactNode, createContext, use, useCallback, useEffect, useRef, useState } from 'react'
import { CircleCheck, CircleX, Info, TriangleAlert } from 'lucide-react'
import { explain } from '@/api/errors'
import { cn } from './cn'
import { type Tone, ink } from './tone'

export interface Toast {
  tone: Tone
  title: ReactNode
  children?: ReactNode
  /** The same again takes the place of the older one. */
  key?: string
}

interface Shown extends Toast {
  id: number
}

interface Toasts {
  show(toast: Toast): void
  /** Shows what an error says. */
  fail(error: unknown): void
}

const Context = createContext<Toasts>({ show: () => {}, fail: () => {} })
export const useToast = () => use(Context)

const STAYS = 6000
const MOST = 4
const icons = { good: CircleCheck, busy: Info, warn: TriangleAlert, bad: CircleX, idle: Info }

export function ToastProvider({ children }: { children: ReactNode }) {
  const [toasts, setToasts] = useState<Shown[]>([])
  const next = useRef(0)
  const show = useCallback((toast: Toast) => {
    next.current += 1
    const id = next.current
    setToasts((before) => [...before.filter(({ key }) => key === undefined || key !== toast.key), { ...toast, id }].slice(-MOST))
  }, [])
  const fail = useCallback(
    (error: unknown) => {
      const { detail, hint } = explain(error)
      show({ tone: 'bad', title: detail, children: hint, key: detail })
    },
    [show],
  )
  const close = useCallback((id: number) => setToasts((before) => before.filter((toast) => toast.id !== id)), [])
  const [value] = useState<Toasts>(() => ({ show, fail }))
  return (
    <Context value={value}>
      {children}
      <section
        aria-label="Messages"
        aria-live="polite"
        className="pointer-events-none fixed inset-x-3 bottom-[calc(4.5rem+env(safe-area-inset-bottom))] z-50 flex flex-col items-end gap-2 sm:right-4 sm:bottom-4 sm:left-auto sm:w-96"
      >
        {toasts.map((toast) => (
          <One key={toast.id} toast={toast} close={close} />
        ))}
      </section>
    </Context>
  )
}

function One({ toast, close }: { toast: Shown; close(id: number): void }) {
  const { id, tone, title, children } = toast
  const [held, setHeld] = useState(false)
  useEffect(() => {
    if (tone === 'bad' || held) return
    const timer = setTimeout(() => close(id), STAYS)
    return () => clearTimeout(timer)
  }, [id, tone, held, close])
  const Icon = icons[tone]
  return (
    <div
      onPointerEnter={() => setHeld(true)}
      onPointerLeave={() => setHeld(false)}
      onFocus={() => setHeld(true)}
      onBlur={() => setHeld(false)}
      className="pointer-events-auto flex w-full animate-appear gap-3 rounded-lg border border-line bg-raised px-3.5 py-3 shadow-pop"
    >
      <Icon className={cn('mt-0.5 size-4.5 shrink-0', ink[tone])} aria-hidden />
      <div className="min-w-0 grow">
        <div className="font-medium">{title}</div>
        {children ? <div className="mt-0.5 text-sm text-muted">{children}</div> : null}
      </div>
      <button
        type="button"
        aria-label="Put away"
        onClick={() => close(id)}
        className="touch -my-1 -mr-1.5 inline-flex size-7 shrink-0 items-center justify-center rounded-md text-muted hover:bg-hover"
      >
        <X className="size-4" aria-hidden />
      </button>
    </div>
  )
}

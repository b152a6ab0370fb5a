import { Dialog as Base } from '@base-ui/react/dialog'
import { X } from 'lucide-react'
import { type ReactNode, type RefObject, useRef } from 'react'
import { cn } from './cn'

export interface DialogProps {
  open: boolean
  onOpenChange(open: boolean): void
  title: string
  /** One sentence below the title. */
  description?: ReactNode
  children: ReactNode
  /** The buttons, the safe one first. */
  actions?: ReactNode
  /** What has the focus at first; the first field otherwise, or else the first button. */
  focus?: RefObject<HTMLElement | null>
  className?: string
  /** Something that must be answered: a click beside it does not close it. */
  firm?: boolean
  /** What was asked for is on its way: nothing closes it until there is an answer. */
  busy?: boolean
}

const FIELDS = 'input:not([type=hidden]):not(:disabled), select:not(:disabled), textarea:not(:disabled), [contenteditable=true]'
const BUTTONS = 'button, a[href]'

/** In the middle on a desktop, from below on a phone. */
export default function DialogParts({ open, onOpenChange, title, description, children, actions, focus, className, firm, busy }: DialogProps) {
  const popup = useRef<HTMLDivElement>(null)
  const body = useRef<HTMLDivElement>(null)
  const footer = useRef<HTMLElement>(null)
  // By the order of the page it would be the cross. A field brings up the keyboard of a phone, which hides what the dialog says.
  const first = (by: string) =>
    by === 'touch' ? popup.current : (body.current?.querySelector<HTMLElement>(FIELDS) ?? footer.current?.querySelector<HTMLElement>(BUTTONS) ?? true)
  return (
    <Base.Root open={open} onOpenChange={(next) => (busy && !next ? undefined : onOpenChange(next))} disablePointerDismissal={firm || busy}>
      <Base.Portal>
        <Base.Backdrop className="fixed inset-0 z-40 bg-veil transition-opacity data-ending-style:opacity-0 data-starting-style:opacity-0" />
        <Base.Popup
          ref={popup}
          initialFocus={focus ?? first}
          className={cn(
            'fixed inset-x-0 bottom-0 z-40 flex max-h-[92dvh] flex-col rounded-t-xl border border-line bg-raised shadow-pop outline-none transition data-ending-style:opacity-0 data-starting-style:opacity-0',
            'max-sm:data-starting-style:translate-y-8 sm:inset-x-auto sm:top-[12vh] sm:bottom-auto sm:left-1/2 sm:max-h-[76vh] sm:w-[32rem] sm:max-w-[calc(100vw-2rem)] sm:-translate-x-1/2 sm:rounded-xl',
            className,
          )}
        >
          <header className="flex items-start gap-3 px-5 pt-4 pb-1">
            <div className="min-w-0 grow">
              <Base.Title className="text-lg font-semibold">{title}</Base.Title>
              {description ? <Base.Description className="mt-0.5 text-sm text-muted">{description}</Base.Description> : null}
            </div>
            <Base.Close
              aria-label="Close"
              aria-disabled={busy || undefined}
              className="touch aria-disabled:cursor-not-allowed aria-disabled:opacity-55 -mr-2 inline-flex size-8 items-center justify-center rounded-md text-muted hover:bg-hover"
            >
              <X className="size-4" aria-hidden />
            </Base.Close>
          </header>
          <div ref={body} className="min-h-0 grow overflow-y-auto px-5 py-3">
            {children}
          </div>
          {actions ? (
            <footer ref={footer} className="flex flex-col-reverse gap-2 border-t border-line px-5 py-3 sm:flex-row sm:justify-end">{actions}</footer>
          ) : null}
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}

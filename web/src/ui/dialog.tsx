import { type ComponentProps, Suspense, createContext, lazy, use, useMemo, useState } from 'react'
import { Button } from './button'
import type { DialogProps } from './dialog-parts'

// Nobody opens one at once: what dialogs need comes when the page has been painted.
const Parts = lazy(() => import('./dialog-parts'))

const Context = createContext<{ busy: boolean; close(): void }>({ busy: false, close: () => {} })

/** In the middle on a desktop, from below on a phone. While it is `busy` it stays: what was sent is not taken back by closing it. */
export function Dialog(props: DialogProps) {
  const { open, onOpenChange, busy = false } = props
  const [used, setUsed] = useState(open)
  const value = useMemo(() => ({ busy, close: () => onOpenChange(false) }), [busy, onOpenChange])
  if (open && !used) setUsed(true)
  if (!used && !open) return null
  return (
    <Context value={value}>
      <Suspense fallback={null}>
        <Parts {...props} />
      </Suspense>
    </Context>
  )
}

/** The safe button of a dialog: it closes it and nothing happens, unless it is happening already. */
export function CloseButton(props: Omit<ComponentProps<typeof Button>, 'onClick' | 'busy' | 'disabledReason'>) {
  const { busy, close } = use(Context)
  return <Button {...props} disabledReason={busy ? 'It was sent already: its answer is on the way' : undefined} onClick={close} />
}

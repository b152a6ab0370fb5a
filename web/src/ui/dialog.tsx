import { Suspense, lazy, useState } from 'react'
import type { DialogProps } from './dialog-parts'

// Nobody opens one at once: what dialogs need comes when the page has been painted.
const Parts = lazy(() => import('./dialog-parts'))

/** In the middle on a desktop, from below on a phone. */
export function Dialog(props: DialogProps) {
  const [used, setUsed] = useState(props.open)
  if (props.open && !used) setUsed(true)
  if (!used && !props.open) return null
  return (
    <Suspense fallback={null}>
      <Parts {...props} />
    </Suspense>
  )
}

// Bringing what one environment serves to another. The comparison is a part of its own: few open it.
import { ArrowUpFromLine } from 'lucide-react'
import { Suspense, lazy, useState } from 'react'
import type { AppDetail } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { promotable } from './ends'

const PromoteDialog = lazy(() => import('./dialog'))

interface Props {
  app: AppDetail
  /** The environment whose release goes on. */
  from: string
  size?: 'sm' | 'md'
}

export function PromoteButton({ app, from, size }: Props) {
  const may = useMay()
  const [open, setOpen] = useState(false)
  const reason = may('deployer', app.name) ?? promotable(app.environments, from)
  return (
    <>
      <Button size={size} disabledReason={reason} onClick={() => setOpen(true)}>
        <ArrowUpFromLine aria-hidden /> Promote
        {size === 'sm' ? (
          <span className="sr-only">
            {app.name} / {from}
          </span>
        ) : null}
      </Button>
      {open ? (
        <Suspense fallback={null}>
          <PromoteDialog app={app} from={from} close={() => setOpen(false)} />
        </Suspense>
      ) : null}
    </>
  )
}

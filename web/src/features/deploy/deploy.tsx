// Deploying: what would happen can be seen first; one click too many is still one deployment.
import { Rocket } from 'lucide-react'
import { Suspense, lazy, useState } from 'react'
import type { App } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'

const DeployDialog = lazy(() => import('./dialog'))

interface Props {
  app: App
  environment: string
  size?: 'sm' | 'md'
  look?: 'primary' | 'plain'
}

export function DeployButton({ app, environment, size, look }: Props) {
  const may = useMay()
  const [open, setOpen] = useState(false)
  const reason =
    may('deployer', app.name) ??
    (app.source ? undefined : 'The app has no source yet: deploy it once with `plimsoll deploy`, or set its source among its settings')
  return (
    <>
      <Button size={size} look={look} disabledReason={reason} onClick={() => setOpen(true)}>
        <Rocket aria-hidden /> Deploy
        {size === 'sm' ? (
          <span className="sr-only">
            {app.name} / {environment}
          </span>
        ) : null}
      </Button>
      {open ? (
        <Suspense fallback={null}>
          <DeployDialog app={app} environment={environment} close={() => setOpen(false)} />
        </Suspense>
      ) : null}
    </>
  )
}

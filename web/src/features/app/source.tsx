// Where deployments of an app take its source from.
import { Suspense, lazy, useState } from 'react'
import type { AppDetail } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { SourceWords } from '@/features/deploy/source'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'

const EditSource = lazy(() => import('./edit-source'))

export function SourceCard({ app }: { app: AppDetail }) {
  const off = useMay()('admin', app.name)
  const [editing, setEditing] = useState(false)
  return (
    <Card
      title="Source"
      aside={
        <Button size="sm" disabledReason={off} onClick={() => setEditing(true)}>
          {app.source ? 'Change' : 'Set'}
          <span className="sr-only"> the source</span>
        </Button>
      }
    >
      {app.source ? (
        <p className="break-words">
          <SourceWords source={app.source} />
        </p>
      ) : (
        <p className="text-muted">None of its own: each deployment brings one, as a folder or an archive of who deploys.</p>
      )}
      {editing ? (
        <Suspense fallback={null}>
          <EditSource app={app} close={() => setEditing(false)} />
        </Suspense>
      ) : null}
    </Card>
  )
}

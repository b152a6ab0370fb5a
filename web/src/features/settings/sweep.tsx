// What is old enough to go, and removing it now instead of within the hour.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { explain } from '@/api/errors'
import { Intention } from '@/api/keys'
import type { Sweep } from '@/api/schema'
import { retentionPlan, runRetention } from '@/api/upkeep'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { Facts } from '@/ui/card'
import { CloseButton, Dialog } from '@/ui/dialog'
import { bytes, number, plural } from '@/ui/format'
import { Note } from '@/ui/note'
import { Loaded } from '@/ui/states'
import { useToast } from '@/ui/toast'

const nothing = ({ releases, outputs, events, deployments, keys }: Sweep) => releases + outputs + events + deployments + keys === 0

export default function SweepNow({ close }: { close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const safe = useRef<HTMLButtonElement>(null)
  const intention = useRef(new Intention())
  const query = useQuery({ ...retentionPlan(), refetchOnMount: 'always' })
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const off = useMay()('admin') ?? (query.data ? (nothing(query.data) ? 'Nothing is old enough' : undefined) : 'It is being looked at')
  const trouble = error === undefined ? undefined : explain(error)
  const go = async () => {
    setBusy(true)
    setError(undefined)
    try {
      const { release_bytes: files, output_bytes: output } = await runRetention(intention.current.keyFor('run'))
      intention.current.answered()
      await client.invalidateQueries({ queryKey: ['retention'] })
      toast.show({ tone: 'good', title: `Removed: ${bytes(files + output)} are free again.` })
      close()
    } catch (caught) {
      setError(caught)
      setBusy(false)
    }
  }
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : close())}
      busy={busy}
      title="What is old enough to go"
      description="It goes by itself once an hour. What is gone can’t be brought back."
      focus={safe}
      actions={
        <>
          <CloseButton ref={safe}>Leave it to the server</CloseButton>
          <Button look="danger" busy={busy} disabledReason={off} onClick={() => void go()}>
            Remove it now
          </Button>
        </>
      }
    >
      <div className="flex flex-col gap-4">
        <Loaded query={query}>{(found) => <What sweep={found} />}</Loaded>
        {trouble ? (
          <Note tone="bad" urgent title={trouble.detail}>
            {trouble.hint}
          </Note>
        ) : null}
      </div>
    </Dialog>
  )
}

function What({ sweep }: { sweep: Sweep }) {
  return (
    <>
      <Facts
        facts={[
          ['Files of releases', `of ${plural(sweep.releases, 'release')}, ${bytes(sweep.release_bytes)}`],
          ['Output', `of ${plural(sweep.outputs, 'deployment')}, ${bytes(sweep.output_bytes)}`],
          ['Events', number(sweep.events)],
          ['Deployments', number(sweep.deployments)],
          ['Answers to repeated requests', number(sweep.keys)],
        ]}
      />
      {sweep.busy_apps > 0 ? (
        <p className="text-sm text-muted">
          Releases of {plural(sweep.busy_apps, 'app')} are left alone, as deployments are at work there.
        </p>
      ) : null}
    </>
  )
}

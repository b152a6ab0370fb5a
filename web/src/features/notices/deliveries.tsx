// What was sent to a channel, and what became of it.
import { keepPreviousData, useQuery, useQueryClient } from '@tanstack/react-query'
import { useRef, useState } from 'react'
import { sentence } from '@/api/errors'
import { Intention } from '@/api/keys'
import { deliveries, resend } from '@/api/notices'
import type { Channel, Delivery } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { Dialog } from '@/ui/dialog'
import { plural } from '@/ui/format'
import { Pager } from '@/ui/pager'
import { Empty, Loaded } from '@/ui/states'
import { Status } from '@/ui/status'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'
import { DELIVERIES } from './words'

export default function Deliveries({ channel, close }: { channel: Channel; close(): void }) {
  const [cursor, setCursor] = useState<string>()
  const query = useQuery({ ...deliveries(channel.id, cursor), placeholderData: keepPreviousData })
  return (
    <Dialog open onOpenChange={(open) => (open ? undefined : close())} title={`What was sent to ${channel.name}`} className="sm:w-[44rem]" actions={<Button onClick={close}>Close</Button>}>
      <Loaded query={query}>
        {({ items, next }) =>
          items.length === 0 ? (
            <Empty title="Nothing yet">Something is sent when something happens that it is told of.</Empty>
          ) : (
            <>
              <ul aria-label="Deliveries, the newest first">
                {items.map((delivery) => (
                  <One key={delivery.id} channel={channel} delivery={delivery} />
                ))}
              </ul>
              <Pager at={cursor} next={next} busy={query.isPlaceholderData} go={setCursor} />
            </>
          )
        }
      </Loaded>
    </Dialog>
  )
}

function One({ channel, delivery }: { channel: Channel; delivery: Delivery }) {
  const { id, title, state, count, attempts, status, error, created_at: made, due_at: due, done_at: done } = delivery
  const client = useQueryClient()
  const toast = useToast()
  const may = useMay()
  const intention = useRef(new Intention())
  const [busy, setBusy] = useState(false)
  const again = async () => {
    setBusy(true)
    try {
      await resend(channel.id, id, intention.current.keyFor([id, attempts]))
      intention.current.answered()
      await client.invalidateQueries({ queryKey: ['deliveries', channel.id] })
    } catch (caught) {
      toast.fail(caught)
    } finally {
      setBusy(false)
    }
  }
  return (
    <li className="flex flex-wrap items-start gap-x-4 gap-y-1 border-t border-line py-2.5 first:border-t-0">
      <div className="min-w-0 grow basis-60">
        <p className="font-medium break-words">{title}</p>
        <p className="text-sm text-muted">
          {count > 1 ? `${plural(count, 'notice')}, ` : ''}
          {plural(attempts, 'attempt')}
          {status ? `, answer ${status}` : ''}, <Time at={done ?? made} />
          {state === 'waiting' && due ? (
            <>
              , next <Time at={due} />
            </>
          ) : null}
        </p>
        {error ? <p className="text-sm break-words">{sentence(error)}</p> : null}
      </div>
      <Status standing={DELIVERIES[state]} />
      <Button size="sm" busy={busy} aria-label={`Send “${title}” again`} disabledReason={may('admin', channel.app ?? undefined)} onClick={() => void again()}>
        Send again
      </Button>
    </li>
  )
}

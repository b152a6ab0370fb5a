import { useQuery, useQueryClient, useSuspenseQuery } from '@tanstack/react-query'
import { createFileRoute } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { Suspense, lazy, useEffect, useState } from 'react'
import { newKey } from '@/api/keys'
import { channels, mutes, notices, seenUpTo } from '@/api/notices'
import { me } from '@/api/queries'
import { useMaySomewhere } from '@/api/use-me'
import { Channels } from '@/features/notices/channels'
import { NoticeList } from '@/features/notices/list'
import { Mutes } from '@/features/notices/mutes'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { Page } from '@/ui/page'
import { Loaded } from '@/ui/states'

const EditChannel = lazy(() => import('@/features/notices/edit-channel'))

export const Route = createFileRoute('/_app/notifications')({
  loader: ({ context }) => {
    void context.client.prefetchQuery(notices())
    void context.client.prefetchQuery(channels())
    if (context.client.getQueryData(me().queryKey)?.email) void context.client.prefetchQuery(mutes())
  },
  component: Notifications,
})

function Notifications() {
  const { data: person } = useSuspenseQuery(me())
  const latest = useQuery(notices())
  const ways = useQuery(channels())
  const [making, setMaking] = useState(false)
  const off = useMaySomewhere()('admin')
  const mine = Boolean(person.email)
  const seen = useSeen(mine)
  return (
    <Page title="Notifications" lead="What happened, for you; and where else it is told.">
      <Card title="Latest" flush>
        <Loaded query={latest}>{({ items }) => <NoticeList notices={items} seen={seen} />}</Loaded>
      </Card>
      <Card
        title="Channels"
        flush
        aside={
          <Button size="sm" disabledReason={off} onClick={() => setMaking(true)}>
            <Plus aria-hidden /> New channel
          </Button>
        }
      >
        <Loaded query={ways}>{(found) => <Channels channels={found} />}</Loaded>
      </Card>
      {mine ? <Mutes /> : null}
      {making ? (
        <Suspense fallback={null}>
          <EditChannel close={() => setMaking(false)} />
        </Suspense>
      ) : null}
    </Page>
  )
}

/** Up to where all was old when the page was opened; what is shown is seen from then on. */
function useSeen(mine: boolean): number {
  const client = useQueryClient()
  const { data } = useQuery(notices())
  const [before, setBefore] = useState<number>()
  if (before === undefined && data) setBefore(data.seen ?? 0)
  const newest = data?.items[0]?.cursor
  const known = data?.seen ?? 0
  useEffect(() => {
    if (!mine || newest === undefined || newest <= known) return
    // It does no harm when it is not noted: they are new once more then.
    seenUpTo(newest, newKey()).then(
      ({ seen }) => client.setQueryData(notices().queryKey, (now) => now && { ...now, seen, unseen: 0 }),
      () => {},
    )
  }, [client, mine, newest, known])
  return before ?? Number.POSITIVE_INFINITY
}

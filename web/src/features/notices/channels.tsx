// By which ways others are told: Slack, mail, programs. What was sent, and whether it arrived.
import { useQueryClient } from '@tanstack/react-query'
import { Ellipsis, Send } from 'lucide-react'
import { Suspense, lazy, useRef, useState } from 'react'
import { sentence } from '@/api/errors'
import { Intention } from '@/api/keys'
import { removeChannel, testChannel, updateChannel } from '@/api/notices'
import type { Channel, Tested } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { useConfirm } from '@/ui/confirm'
import { plural } from '@/ui/format'
import { Menu, MenuItem, MenuLine } from '@/ui/menu'
import { Note } from '@/ui/note'
import { Empty } from '@/ui/states'
import { Status } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'
import { KINDS, standingOfChannel, topicWord } from './words'

const EditChannel = lazy(() => import('./edit-channel'))
const Deliveries = lazy(() => import('./deliveries'))

export function Channels({ channels }: { channels: Channel[] }) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const may = useMay()
  const intention = useRef(new Intention())
  const [opened, setOpened] = useState<{ what: 'change' | 'log'; channel: Channel }>()
  const [testing, setTesting] = useState<string>()
  const [tested, setTested] = useState<{ channel: Channel; result: Tested }>()
  const refresh = () => client.invalidateQueries({ queryKey: ['channels'] })

  const test = async (channel: Channel) => {
    setTesting(channel.id)
    setTested(undefined)
    try {
      setTested({ channel, result: await testChannel(channel.id, intention.current.keyFor(['test', channel.id])) })
      intention.current.answered()
      await refresh()
    } catch (error) {
      toast.fail(error)
    } finally {
      setTesting(undefined)
    }
  }
  const turn = async ({ id, name, enabled }: Channel) => {
    try {
      await updateChannel(id, { enabled: !enabled }, intention.current.keyFor([id, enabled]))
      intention.current.answered()
      await refresh()
      toast.show({ tone: 'good', title: enabled ? `${name} is told nothing any more.` : `${name} is told again, of what happens from now on.` })
    } catch (error) {
      toast.fail(error)
    }
  }
  const remove = ({ id, name }: Channel) =>
    confirm({
      title: `Remove the channel ${name}?`,
      will: ['Nothing is sent there any more.', 'The record of what was sent goes with it.'],
      action: 'Remove',
      danger: true,
      run: async () => {
        await removeChannel(id, intention.current.keyFor(['remove', id]))
        await refresh()
        toast.show({ tone: 'good', title: `The channel ${name} is removed.` })
      },
    })

  if (channels.length === 0) return <Empty title="Nobody else is told">A channel tells a Slack room, mailboxes or a program of what happens here.</Empty>
  const columns: Column<Channel>[] = [
    {
      head: 'Channel',
      phone: 'title',
      cell: ({ name, kind, address, to }) => (
        <span className="min-w-0">
          <span className="font-semibold break-words">{name}</span>
          <span className="block text-sm break-all text-muted">
            {KINDS[kind]}, {address ?? (to ?? []).join(', ')}
          </span>
        </span>
      ),
    },
    {
      head: 'Of',
      cell: ({ app, environments }) => (
        <span className="max-sm:text-right">
          {app ?? 'All apps'}
          {environments.length > 0 ? <span className="block text-sm text-muted">{environments.join(', ')}</span> : null}
        </span>
      ),
    },
    { head: 'Told of', cell: ({ topics }) => <span title={topics.map(topicWord).join(', ')}>{plural(topics.length, 'kind of event', 'kinds of events')}</span> },
    {
      head: 'State',
      cell: (row) => (
        <span className="max-sm:text-right">
          <Status standing={standingOfChannel(row)} />
          {row.enabled && row.failing_since ? (
            <span className="block text-sm text-muted">
              since <Time at={row.failing_since} />
            </span>
          ) : null}
        </span>
      ),
    },
    {
      head: <span className="sr-only">Actions</span>,
      right: true,
      cell: (row) => {
        const off = may('admin', row.app ?? undefined)
        return (
          <span className="inline-flex grow items-center justify-end gap-1">
            <Button size="sm" aria-label={`Test ${row.name}`} busy={testing === row.id} disabledReason={off} onClick={() => void test(row)}>
              <Send aria-hidden /> Test
            </Button>
            <Menu
              trigger={
                <Button look="quiet" size="icon" aria-label={`More for the channel ${row.name}`}>
                  <Ellipsis aria-hidden />
                </Button>
              }
            >
              <MenuItem onClick={() => setOpened({ what: 'log', channel: row })}>What was sent</MenuItem>
              <MenuItem disabledReason={off} onClick={() => setOpened({ what: 'change', channel: row })}>
                Change
              </MenuItem>
              <MenuItem disabledReason={off} onClick={() => void turn(row)}>
                {row.enabled ? 'Turn off' : 'Turn on'}
              </MenuItem>
              <MenuLine />
              <MenuItem disabledReason={off} onClick={() => remove(row)}>
                Remove
              </MenuItem>
            </Menu>
          </span>
        )
      },
    },
  ]
  return (
    <>
      {tested ? <Result {...tested} /> : null}
      <Table label="Channels" columns={columns} rows={channels} id={({ id }) => id} />
      <Suspense fallback={null}>
        {opened?.what === 'change' ? <EditChannel channel={opened.channel} close={() => setOpened(undefined)} /> : null}
        {opened?.what === 'log' ? <Deliveries channel={opened.channel} close={() => setOpened(undefined)} /> : null}
      </Suspense>
    </>
  )
}

const Result = ({ channel, result: { arrived, status, said, took_ms: took } }: { channel: Channel; result: Tested }) => (
  <Note
    tone={arrived ? 'good' : 'bad'}
    urgent
    className="m-4 mt-1"
    title={arrived ? `The test arrived at ${channel.name}` : `The test did not arrive at ${channel.name}`}
  >
    {status ? `Answer ${status}: ` : ''}
    {sentence(said)} It took {took} ms.
  </Note>
)

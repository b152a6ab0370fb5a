// The mail server: what is known of it, and whether mail arrives.
import { useQueryClient } from '@tanstack/react-query'
import { Suspense, lazy, useRef, useState } from 'react'
import { Intention } from '@/api/keys'
import type { Channel, Mail } from '@/api/schema'
import { mail, setMail } from '@/api/settings'
import { useMay } from '@/api/use-me'
import { Channels } from '@/features/notices/channels'
import { to } from '@/paths'
import { Button, ButtonLink } from '@/ui/button'
import { Card, Facts } from '@/ui/card'
import { useConfirm } from '@/ui/confirm'
import { Empty } from '@/ui/states'
import { useToast } from '@/ui/toast'
import { ENCRYPTIONS } from './words'

const EditMail = lazy(() => import('./edit-mail'))

export function MailServer({ known: { server } }: { known: Mail }) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const off = useMay()('admin')
  const intention = useRef(new Intention())
  const [editing, setEditing] = useState(false)
  const remove = () =>
    confirm({
      title: 'Forget the mail server?',
      will: ['No mail leaves from then on: channels of the kind mail fail, and say so.', 'Its password is forgotten with it.'],
      action: 'Forget it',
      danger: true,
      run: async () => {
        await setMail(null, intention.current.keyFor('none'))
        intention.current.answered()
        await client.invalidateQueries(mail())
        toast.show({ tone: 'good', title: 'The mail server is forgotten.' })
      },
    })
  return (
    <Card title="Mail server">
      {server ? (
        <>
          <Facts
            facts={[
              ['Server', <span key="server" className="break-all">{server.host}, port {server.port}</span>],
              ['Encryption', ENCRYPTIONS[server.encryption]],
              ['Mails are from', <span key="from" className="break-all">{server.from}</span>],
              ['Signs in', server.user ? <span key="user" className="break-all">as {server.user}</span> : 'not at all'],
              ['Password', server.user ? 'Set: it is sealed and shown to nobody' : 'Not set'],
            ]}
          />
          <div className="mt-4 flex flex-wrap gap-2">
            <Button disabledReason={off} onClick={() => setEditing(true)}>
              Change
            </Button>
            <Button look="quiet" disabledReason={off} onClick={remove}>
              Forget it
            </Button>
          </div>
        </>
      ) : (
        <Empty
          title="No mail leaves"
          actions={
            <Button look="primary" disabledReason={off} onClick={() => setEditing(true)}>
              Name a mail server
            </Button>
          }
        >
          Name a server that takes mail from here, and channels can send some.
        </Empty>
      )}
      {editing ? (
        <Suspense fallback={null}>
          <EditMail server={server ?? undefined} close={() => setEditing(false)} />
        </Suspense>
      ) : null}
    </Card>
  )
}

/** Whether it arrives, only who gets it can tell: a test goes where a channel goes. */
export function MailChannels({ channels }: { channels: Channel[] }) {
  const mails = channels.filter(({ kind }) => kind === 'mail')
  return (
    <Card title="Does it arrive?" flush>
      {mails.length > 0 ? (
        <Channels channels={mails} />
      ) : (
        <Empty title="No channel sends mail" actions={<ButtonLink {...to.notifications()}>To the channels</ButtonLink>}>
          Make a channel of the kind mail: its test says what the mail server answers.
        </Empty>
      )}
    </Card>
  )
}

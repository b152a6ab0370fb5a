// Where somebody is signed in, and how to end that. For one's own, and for those of others.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { endSession } from '@/api/actions'
import { newKey } from '@/api/keys'
import { sessions } from '@/api/queries'
import type { Session, SignInMethod } from '@/api/schema'
import { useSignOut } from '@/layout/personal'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { useConfirm } from '@/ui/confirm'
import { Empty, Loaded } from '@/ui/states'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'
import { browserOf } from './agent'

const VIA: Record<SignInMethod, string> = { password: 'Password', oidc: 'Single sign-on', invitation: 'Invitation' }

/** Of this person; one's own without one. */
export function Sessions({ user }: { user?: { id: string; name: string } }) {
  const query = useQuery(sessions(user?.id))
  return (
    <Card title="Sessions" flush>
      <Loaded query={query}>
        {(list) =>
          list.length === 0 ? (
            <Empty title={user ? 'Not signed in anywhere' : 'No session'}>Each browser in which somebody is signed in stands here.</Empty>
          ) : (
            <List sessions={list} user={user} />
          )
        }
      </Loaded>
    </Card>
  )
}

function List({ sessions, user }: { sessions: Session[]; user?: { name: string } }) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const leave = useSignOut()
  const ask = (session: Session) =>
    confirm({
      title: 'End this session?',
      will: [
        `${browserOf(session.agent)}, from ${session.address}: its next request is refused, and pages that are open there are signed out within 15 seconds.`,
        `${user ? user.name : 'You'} can sign in again there.`,
      ],
      action: 'End the session',
      danger: true,
      run: async () => {
        await endSession(session.id, newKey())
        await Promise.all([client.invalidateQueries({ queryKey: ['sessions'] }), client.invalidateQueries({ queryKey: ['users'] })])
        toast.show({ tone: 'good', title: 'The session has ended.' })
      },
    })
  const columns: Column<Session>[] = [
    {
      head: 'Browser',
      phone: 'title',
      cell: ({ agent, current }) => (
        <span title={agent}>
          <span className="font-medium break-words">{browserOf(agent)}</span>
          {current ? <span className="ml-2 rounded-full border border-line bg-accent-soft px-2 py-0.5 text-xs whitespace-nowrap text-accent">This one</span> : null}
        </span>
      ),
    },
    { head: 'From', cell: ({ address }) => <span className="tabular break-all">{address}</span> },
    { head: 'Began by', cell: ({ via }) => VIA[via] },
    { head: 'Began', cell: ({ created_at }) => <Time at={created_at} className="text-muted" /> },
    { head: 'Last used', cell: ({ seen_at }) => <Time at={seen_at} className="text-muted" /> },
    { head: 'Ends', right: true, cell: ({ ends_at }) => <Time at={ends_at} className="text-muted" /> },
    {
      head: <span className="sr-only">Actions</span>,
      right: true,
      cell: (session) =>
        session.current ? (
          <Button look="quiet" size="sm" onClick={() => void leave()}>
            Sign out
          </Button>
        ) : (
          <Button look="quiet" size="sm" aria-label={`End the session of ${browserOf(session.agent)} from ${session.address}`} onClick={() => ask(session)}>
            End
          </Button>
        ),
    },
  ]
  const label = user ? `Sessions of ${user.name}` : 'Your sessions'
  return <Table label={label} columns={columns} rows={sessions} id={({ id }) => id} />
}

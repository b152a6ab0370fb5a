// Invitations that wait to be accepted, and how to take them back.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { withdraw } from '@/api/actions'
import { newKey } from '@/api/keys'
import { invitations } from '@/api/queries'
import type { Invitation } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { useConfirm } from '@/ui/confirm'
import { Empty, Loaded } from '@/ui/states'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'
import { neededFor, roleWord } from './roles'

const whom = ({ email }: Invitation) => email ?? 'Whoever has the link'

/** Of one app, or all; for who may invite there. */
export function WaitingInvitations({ app }: { app?: string }) {
  const query = useQuery(invitations(app))
  return (
    <Card title="Waiting invitations" flush>
      <Loaded query={query}>
        {(list) =>
          list.length === 0 ? (
            <Empty title="No invitation waits">One that was made stands here until it is accepted, withdrawn or expired.</Empty>
          ) : (
            <List invitations={list} app={app} />
          )
        }
      </Loaded>
    </Card>
  )
}

function List({ invitations, app }: { invitations: Invitation[]; app?: string }) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const may = useMay()
  const ask = (invitation: Invitation) =>
    confirm({
      title: 'Withdraw this invitation?',
      will: [`Its link is worth nothing any more, and ${invitation.email ?? 'whoever has it'} can’t come in by it.`, 'Another one can be made at any time.'],
      action: 'Withdraw',
      danger: true,
      run: async () => {
        await withdraw(invitation.id, newKey())
        await client.invalidateQueries({ queryKey: ['invitations'] })
        toast.show({ tone: 'good', title: 'The invitation is withdrawn.' })
      },
    })
  const where: Column<Invitation>[] =
    app === undefined
      ? [
          {
            head: 'Where',
            cell: (row) =>
              row.app ? (
                <Link {...to.members(row.app)} className="hover:underline">
                  {row.app}
                </Link>
              ) : (
                'Everywhere'
              ),
          },
        ]
      : []
  const columns: Column<Invitation>[] = [
    { head: 'For', phone: 'title', cell: (row) => <span className="font-medium break-all">{whom(row)}</span> },
    { head: 'Role', cell: ({ role }) => roleWord[role] },
    ...where,
    { head: 'By', cell: ({ created_by }) => <span className="text-muted">{created_by}</span> },
    { head: 'Expires', right: true, cell: ({ expires_at }) => <Time at={expires_at} className="text-muted" /> },
    {
      head: <span className="sr-only">Actions</span>,
      right: true,
      cell: (row) => (
        <Button
          look="quiet"
          size="sm"
          aria-label={`Withdraw the invitation for ${whom(row)}`}
          disabledReason={row.app ? may(neededFor(row.role), row.app) : may('owner')}
          onClick={() => ask(row)}
        >
          Withdraw
        </Button>
      ),
    },
  ]
  return <Table label="Waiting invitations" columns={columns} rows={invitations} id={({ id }) => id} />
}

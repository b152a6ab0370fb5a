import { useQuery } from '@tanstack/react-query'
import { Link, createFileRoute } from '@tanstack/react-router'
import { UserPlus } from 'lucide-react'
import { useState } from 'react'
import { members } from '@/api/queries'
import { useMay } from '@/api/use-me'
import { InviteButton, InviteDialog } from '@/features/people/invite'
import { WaitingInvitations } from '@/features/people/invitations'
import { AddMember, MemberList } from '@/features/people/members'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { Page } from '@/ui/page'
import { Empty, Loaded } from '@/ui/states'

export const Route = createFileRoute('/_app/apps/$app/members')({
  loader: ({ context, params }) => void context.client.prefetchQuery(members(params.app)),
  component: Members,
})

function Members() {
  const { app } = Route.useParams()
  const query = useQuery(members(app))
  const may = useMay()
  const [adding, setAdding] = useState(false)
  const [inviting, setInviting] = useState<string>()
  const notAllowed = may('admin', app)
  return (
    <Page
      title="Members"
      trail={[{ word: app, link: to.app(app) }]}
      lead={
        <>
          Who works on {app}. Who has a role everywhere may do the same here, and stands{' '}
          {may('owner') ? (
            'among the people of the server'
          ) : (
            <>
              under{' '}
              <Link {...to.people()} className="text-accent underline">
                People
              </Link>
            </>
          )}
          .
        </>
      }
      actions={
        <>
          <Button onClick={() => setAdding(true)} disabledReason={notAllowed}>
            <UserPlus aria-hidden /> Add
          </Button>
          <InviteButton app={app} look="primary" />
        </>
      }
    >
      <Card flush>
        <Loaded query={query}>
          {(list) =>
            list.length === 0 ? (
              <Empty title="Nobody has a role at this app alone">Add who signs in here already, or invite somebody new.</Empty>
            ) : (
              <MemberList app={app} members={list} />
            )
          }
        </Loaded>
      </Card>
      {notAllowed === undefined && query.data ? <WaitingInvitations app={app} /> : null}
      {adding ? (
        <AddMember
          app={app}
          close={() => setAdding(false)}
          invite={(email) => {
            setAdding(false)
            setInviting(email)
          }}
        />
      ) : null}
      {inviting === undefined ? null : <InviteDialog app={app} email={inviting} close={() => setInviting(undefined)} />}
    </Page>
  )
}

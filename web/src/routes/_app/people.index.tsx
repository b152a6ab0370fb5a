import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { createFileRoute } from '@tanstack/react-router'
import { unless } from '@/api/auth'
import { invitations, me, users } from '@/api/queries'
import { useMay } from '@/api/use-me'
import { InviteButton } from '@/features/people/invite'
import { WaitingInvitations } from '@/features/people/invitations'
import { PeopleList } from '@/features/people/list'
import { to } from '@/paths'
import { ButtonLink } from '@/ui/button'
import { Card } from '@/ui/card'
import { Page } from '@/ui/page'
import { Empty, Loaded } from '@/ui/states'

const PAGE = 50

export const Route = createFileRoute('/_app/people/')({
  validateSearch: (search: Record<string, unknown>): { cursor?: string } =>
    typeof search.cursor === 'string' && search.cursor !== '' ? { cursor: search.cursor } : {},
  loaderDeps: ({ search }) => search,
  loader: ({ context: { client }, deps }) => {
    // Who may not see them is told why: nothing is asked that would be refused.
    if (unless(client.getQueryData(me().queryKey)?.grants, 'owner')) return
    void client.prefetchQuery(users({ ...deps, limit: PAGE }))
    void client.prefetchQuery(invitations())
  },
  component: People,
})

function People() {
  const reason = useMay()('owner')
  return (
    <Page title="People" lead="Who may come in, and what they are everywhere. Roles at one app are given on the app’s page." actions={<InviteButton look="primary" />}>
      {reason ? (
        <Card>
          <Empty title="Owners of the server look after people" actions={<ButtonLink {...to.account()}>To your account</ButtonLink>}>
            {reason}. Who works on an app stands on the app’s page, under Members.
          </Empty>
        </Card>
      ) : (
        <>
          <Everybody />
          <WaitingInvitations />
        </>
      )}
    </Page>
  )
}

function Everybody() {
  const { cursor } = Route.useSearch()
  const query = useQuery({ ...users({ cursor, limit: PAGE }), placeholderData: keepPreviousData })
  return (
    <Card flush>
      <Loaded query={query}>
        {({ items, next }) =>
          items.length === 0 ? (
            <Empty title={cursor ? 'Nobody stands behind this page' : 'Nobody can sign in yet'} actions={cursor ? <ButtonLink {...to.people()}>From the beginning</ButtonLink> : undefined}>
              {cursor ? 'People are listed by their addresses.' : 'Invite somebody: whoever opens the link chooses a name and a password.'}
            </Empty>
          ) : (
            <>
              <PeopleList people={items} />
              {next || cursor ? (
                <div className="flex justify-between border-t border-line p-3">
                  {cursor ? (
                    <ButtonLink {...to.people()} size="sm">
                      From the beginning
                    </ButtonLink>
                  ) : (
                    <span />
                  )}
                  {next ? (
                    <ButtonLink {...to.people({ cursor: next })} size="sm">
                      More
                    </ButtonLink>
                  ) : null}
                </div>
              ) : null}
            </>
          )
        }
      </Loaded>
    </Card>
  )
}

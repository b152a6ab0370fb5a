import { useQuery } from '@tanstack/react-query'
import { Link, createFileRoute, useNavigate } from '@tanstack/react-router'
import { unless } from '@/api/auth'
import { me, sessions, user as userQuery } from '@/api/queries'
import type { UserDetail } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { ChangeRoleButton, useMayChange, usePersonActions } from '@/features/people/actions'
import { LastSignIn, standingOfPerson } from '@/features/people/list'
import { everywhereWord, roleWord } from '@/features/people/roles'
import { Sessions } from '@/features/people/sessions'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Card, Facts } from '@/ui/card'
import { Page } from '@/ui/page'
import { Empty, Loaded } from '@/ui/states'
import { Status } from '@/ui/status'
import { Time } from '@/ui/time'

export const Route = createFileRoute('/_app/people/$user')({
  loader: ({ context: { client }, params: { user } }) => {
    if (unless(client.getQueryData(me().queryKey)?.grants, 'owner')) return
    void client.prefetchQuery(userQuery(user))
    void client.prefetchQuery(sessions(user))
  },
  component: PersonPage,
})

const trail = [{ word: 'People', link: to.people() }]

function PersonPage() {
  const { user } = Route.useParams()
  const reason = useMay()('owner')
  const query = useQuery({ ...userQuery(user), enabled: reason === undefined })
  if (reason) {
    return (
      <Page title="Person" trail={trail}>
        <Card>
          <Empty title="Owners of the server look after people">{reason}.</Empty>
        </Card>
      </Page>
    )
  }
  return (
    <Loaded query={query} title="Person">
      {(person) => <Shown person={person} />}
    </Loaded>
  )
}

function Shown({ person }: { person: UserDetail }) {
  const { name, email, everywhere, disabled, created_at, created_by, last_sign_in_at, password, apps, tokens } = person
  const navigate = useNavigate()
  const reason = useMayChange()(person)
  const { disable, enable, remove, forgetFactor } = usePersonActions()
  return (
    <Page
      title={name}
      trail={trail}
      lead={<span className="break-all">{email}</span>}
      beside={<Status standing={standingOfPerson(person)} badge />}
      actions={
        <>
          <ChangeRoleButton person={person} />
          <Button disabledReason={reason} onClick={() => (disabled ? enable(person) : disable(person))}>
            {disabled ? 'Enable' : 'Disable'}
          </Button>
          <Button disabledReason={reason} onClick={() => remove(person, () => navigate(to.people()))}>
            Remove
          </Button>
        </>
      }
    >
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <Card
          title="Account"
          aside={
            password ? (
              <Button size="sm" look="quiet" disabledReason={reason} onClick={() => forgetFactor(person)}>
                Remove the second factor
              </Button>
            ) : undefined
          }
        >
          <Facts
            facts={[
              ['Role everywhere', everywhereWord(everywhere)],
              ['Signs in with', password ? 'A password' : 'Single sign-on'],
              ['Last sign-in', <LastSignIn key="last" at={last_sign_in_at} />],
              ['Tokens', tokens],
              [
                'Came',
                <span key="came">
                  <Time at={created_at} />, invited by {created_by}
                </span>,
              ],
            ]}
          />
        </Card>
        <Card title="Roles at single apps">
          {apps.length === 0 ? (
            <p className="text-muted">None. They are given on the app’s page, under Members.</p>
          ) : (
            <Facts
              facts={apps.map(({ app, role }) => [
                <Link key={app} {...to.members(app)} className="touch text-accent hover:underline">
                  {app}
                </Link>,
                roleWord[role],
              ])}
            />
          )}
        </Card>
      </div>
      <Sessions user={person} />
    </Page>
  )
}

import { useQuery, useSuspenseQuery } from '@tanstack/react-query'
import { Link, createFileRoute } from '@tanstack/react-router'
import { ChevronRight, KeyRound, ScrollText, UserCog, Users } from 'lucide-react'
import { certificates, cluster, me, retention, server, sessions } from '@/api/queries'
import { useMay } from '@/api/use-me'
import { Appearance } from '@/features/account/appearance'
import { Sessions } from '@/features/people/sessions'
import { Certificates, Machines, ServerFacts } from '@/features/settings/server'
import { Kept } from '@/features/settings/kept'
import { to } from '@/paths'
import { Card } from '@/ui/card'
import { Page } from '@/ui/page'
import { Loaded } from '@/ui/states'

export const Route = createFileRoute('/_app/settings/')({
  loader: ({ context }) => {
    void context.client.prefetchQuery(server())
    if (context.client.getQueryData(me().queryKey)?.email) void context.client.prefetchQuery(sessions())
  },
  component: SettingsPage,
})

const PLACES = [
  { word: 'Your account', also: 'Roles, password, sessions', icon: UserCog, link: to.account() },
  { word: 'People', also: 'Who may sign in, and their roles', icon: Users, link: to.people() },
  { word: 'Tokens', also: 'What programs show to be let in', icon: KeyRound, link: to.tokens() },
  { word: 'Audit log', also: 'Who did what, and when', icon: ScrollText, link: to.audit() },
]

function SettingsPage() {
  const { data: person } = useSuspenseQuery(me())
  const facts = useQuery(server())
  // What only some may see is not even asked for by others.
  const looks = useMay()('viewer') === undefined
  return (
    <Page title="Settings" lead="This server, and how its pages look to you.">
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <Card title="Server">
          <Loaded query={facts}>{(found) => <ServerFacts server={found} />}</Loaded>
        </Card>
        <div className="flex flex-col gap-4">
          <Appearance />
          <Card title="More settings" flush>
            <ul>
              {PLACES.map(({ word, also, icon: Icon, link }) => (
                <li key={word} className="border-t border-line first:border-t-0">
                  <Link {...link} className="touch flex items-center gap-3 px-4 py-2.5 hover:bg-hover">
                    <Icon className="size-4.5 shrink-0 text-muted" aria-hidden />
                    <span className="min-w-0 grow">
                      <span className="block font-medium">{word}</span>
                      <span className="block text-sm text-muted">{also}</span>
                    </span>
                    <ChevronRight className="size-4 shrink-0 text-muted" aria-hidden />
                  </Link>
                </li>
              ))}
            </ul>
          </Card>
        </div>
      </div>
      {looks ? <OfTheServer /> : null}
      {person.email ? <Sessions /> : null}
    </Page>
  )
}

function OfTheServer() {
  const machines = useQuery(cluster())
  const known = useQuery(certificates())
  const keeps = useQuery(retention())
  return (
    <>
      <Card title="Servers and machines" flush>
        <Loaded query={machines}>{(found) => <Machines cluster={found} />}</Loaded>
      </Card>
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <Card title="Certificates" flush>
          <Loaded query={known}>{(found) => <Certificates certificates={found} />}</Loaded>
        </Card>
        <Card title="How long things are kept">
          <Loaded query={keeps}>{(found) => <Kept policy={found} />}</Loaded>
        </Card>
      </div>
    </>
  )
}

import { useQuery, useSuspenseQuery } from '@tanstack/react-query'
import { Link, createFileRoute } from '@tanstack/react-router'
import { ChevronRight, KeyRound, LogIn, Mail, ScrollText, UserCog, Users } from 'lucide-react'
import { cluster, me, server, sessions } from '@/api/queries'
import { useMay } from '@/api/use-me'
import { Appearance } from '@/features/account/appearance'
import { Sessions } from '@/features/people/sessions'
import { Certificates } from '@/features/settings/certificates'
import { RestartIngress } from '@/features/settings/restart-ingress'
import { Retention } from '@/features/settings/retention'
import { Machines, ServerFacts } from '@/features/settings/server'
import { Stalls } from '@/features/settings/stalls'
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
  { word: 'Sign-in', also: 'The provider by which people come in', icon: LogIn, link: to.access() },
  { word: 'Mail', also: 'The server that takes mail from here', icon: Mail, link: to.mail() },
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
        <Card title="Server" aside={looks ? <RestartIngress /> : undefined}>
          <Loaded query={facts}>{(found) => <ServerFacts server={found} />}</Loaded>
        </Card>
        <Appearance />
      </div>
      <Card title="More settings" flush className="overflow-hidden">
        <ul className="grid sm:grid-cols-2">
          {PLACES.map(({ word, also, icon: Icon, link }) => (
            <li key={word} className="border-t border-line sm:even:border-l">
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
      {looks ? <OfTheServer /> : null}
      {person.email ? <Sessions /> : null}
    </Page>
  )
}

function OfTheServer() {
  const machines = useQuery(cluster())
  return (
    <>
      <Card title="Servers and machines" flush>
        <Loaded query={machines}>{(found) => <Machines cluster={found} />}</Loaded>
      </Card>
      <Certificates />
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <Retention />
        <Stalls />
      </div>
    </>
  )
}

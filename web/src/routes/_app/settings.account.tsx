import { useSuspenseQuery } from '@tanstack/react-query'
import { Link, createFileRoute } from '@tanstack/react-router'
import { LogOut } from 'lucide-react'
import type { ReactNode } from 'react'
import type { Me } from '@/api/auth'
import { me, secondFactor, sessions } from '@/api/queries'
import { Appearance } from '@/features/account/appearance'
import { Password } from '@/features/account/password'
import { SecondFactor } from '@/features/account/second-factor'
import { everywhereWord, roleWord } from '@/features/people/roles'
import { Sessions } from '@/features/people/sessions'
import { useSignOut } from '@/layout/personal'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Card, Facts } from '@/ui/card'
import { Note } from '@/ui/note'
import { Page } from '@/ui/page'
import { Time } from '@/ui/time'

export const Route = createFileRoute('/_app/settings/account')({
  loader: ({ context }) => {
    if (!context.client.getQueryData(me().queryKey)?.email) return
    void context.client.prefetchQuery(sessions())
    void context.client.prefetchQuery(secondFactor())
  },
  component: Account,
})

function Account() {
  const { data: person } = useSuspenseQuery(me())
  const leave = useSignOut()
  return (
    <Page
      title="Your account"
      actions={
        <Button onClick={() => void leave()}>
          <LogOut aria-hidden /> Sign out
        </Button>
      }
    >
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <You person={person} />
        <Appearance />
      </div>
      {person.email ? (
        <>
          <Sessions />
          <div className="grid items-start gap-4 lg:grid-cols-2">
            <Password email={person.email} />
            <SecondFactor />
          </div>
        </>
      ) : (
        <Note tone="idle" title="This is a token that is no person’s">
          It has neither a password nor sessions. Sign in as a person to see yours.
        </Note>
      )}
    </Page>
  )
}

function You({ person: { name, email, grants, session_ends_at } }: { person: Me }) {
  const apps = Object.entries(grants.apps ?? {})
  return (
    <Card title="You">
      <Facts
        facts={[
          ['Name', <span key="name" className="break-words">{name}</span>],
          ['E-mail', email ? <span key="email" className="break-all">{email}</span> : <span key="email" className="text-muted">none</span>],
          ['Role everywhere', everywhereWord(grants.everywhere)],
          ...apps.map(([app, role]): [ReactNode, ReactNode] => [
            <Link key={app} {...to.members(app)} className="touch text-accent hover:underline">
              {app}
            </Link>,
            roleWord[role],
          ]),
          ...(session_ends_at ? [['This session', <span key="ends">ends <Time at={session_ends_at} /></span>] as [ReactNode, ReactNode]] : []),
        ]}
      />
    </Card>
  )
}

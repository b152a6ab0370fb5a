import { useQuery } from '@tanstack/react-query'
import { createFileRoute } from '@tanstack/react-router'
import { unless } from '@/api/auth'
import { me } from '@/api/queries'
import { access } from '@/api/settings'
import { useMay } from '@/api/use-me'
import { Access } from '@/features/settings/access'
import { to } from '@/paths'
import { ButtonLink } from '@/ui/button'
import { Card } from '@/ui/card'
import { Page } from '@/ui/page'
import { Empty, Loaded } from '@/ui/states'

export const Route = createFileRoute('/_app/settings/access')({
  loader: ({ context: { client } }) => {
    // Who may not see it is told why: nothing is asked that would be refused.
    if (unless(client.getQueryData(me().queryKey)?.grants, 'owner')) return
    void client.prefetchQuery(access())
  },
  component: AccessPage,
})

function AccessPage() {
  const reason = useMay()('owner')
  return (
    <Page title="Sign-in" lead="By which provider people sign in, besides their passwords.">
      {reason ? (
        <Card>
          <Empty title="Owners of the server decide how people sign in" actions={<ButtonLink {...to.settings()}>To the settings</ButtonLink>}>
            {reason}.
          </Empty>
        </Card>
      ) : (
        <Provider />
      )}
    </Page>
  )
}

function Provider() {
  const known = useQuery(access())
  return <Loaded query={known}>{(found) => <Access known={found} />}</Loaded>
}

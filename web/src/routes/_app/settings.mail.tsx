import { useQuery } from '@tanstack/react-query'
import { createFileRoute } from '@tanstack/react-router'
import { unless } from '@/api/auth'
import { channels } from '@/api/notices'
import { me } from '@/api/queries'
import { mail } from '@/api/settings'
import { useMay } from '@/api/use-me'
import { MailChannels, MailServer } from '@/features/settings/mail'
import { to } from '@/paths'
import { ButtonLink } from '@/ui/button'
import { Card } from '@/ui/card'
import { Page } from '@/ui/page'
import { Empty, Loaded } from '@/ui/states'

export const Route = createFileRoute('/_app/settings/mail')({
  loader: ({ context: { client } }) => {
    // Who may not see it is told why: nothing is asked that would be refused.
    if (unless(client.getQueryData(me().queryKey)?.grants, 'viewer')) return
    void client.prefetchQuery(mail())
    void client.prefetchQuery(channels())
  },
  component: MailPage,
})

function MailPage() {
  const reason = useMay()('viewer')
  return (
    <Page title="Mail" lead="The server that takes mail from here, and the channels that send some.">
      {reason ? (
        <Card>
          <Empty title="This is for people with a role everywhere" actions={<ButtonLink {...to.settings()}>To the settings</ButtonLink>}>
            {reason}.
          </Empty>
        </Card>
      ) : (
        <Parts />
      )}
    </Page>
  )
}

function Parts() {
  const known = useQuery(mail())
  const ways = useQuery(channels())
  return (
    <>
      <Loaded query={known}>{(found) => <MailServer known={found} />}</Loaded>
      <Loaded query={ways}>{(found) => <MailChannels channels={found} />}</Loaded>
    </>
  )
}

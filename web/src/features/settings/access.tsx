// By which provider people sign in, besides their passwords.
import { useQueryClient } from '@tanstack/react-query'
import { Suspense, lazy, useRef, useState } from 'react'
import { Intention } from '@/api/keys'
import type { AuthSettings } from '@/api/schema'
import { access, setAccess } from '@/api/settings'
import { to } from '@/paths'
import { Button, ButtonLink } from '@/ui/button'
import { Card, Facts } from '@/ui/card'
import { Code, CodeBlock } from '@/ui/code'
import { useConfirm } from '@/ui/confirm'
import { Empty } from '@/ui/states'
import { useToast } from '@/ui/toast'

const EditAccess = lazy(() => import('./edit-access'))

export function Access({ known: { oidc: provider, redirect } }: { known: AuthSettings }) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const intention = useRef(new Intention())
  const [editing, setEditing] = useState(false)
  const remove = (name: string) =>
    confirm({
      title: `Sign nobody in by ${name} any more?`,
      will: [
        `The button “Sign in with ${name}” goes from the page to sign in. Sessions that are open stay open.`,
        'Who has a password signs in with it. Who came by the provider alone has none: remove and invite them anew.',
        'What this server proves itself with there is forgotten.',
      ],
      action: 'Remove the provider',
      danger: true,
      run: async () => {
        client.setQueryData(access().queryKey, await setAccess(null, intention.current.keyFor('none')))
        intention.current.answered()
        await client.invalidateQueries({ queryKey: ['auth', 'methods'] })
        toast.show({ tone: 'good', title: `Nobody signs in by ${name} any more.` })
      },
    })
  return (
    <>
      <Card title="Provider">
        {provider ? (
          <>
            <Facts
              facts={[
                ['The button says', <span key="name" className="break-words">Sign in with {provider.name}</span>],
                ['Its address', <Code key="issuer" className="break-all">{provider.issuer}</Code>],
                ['Client', <Code key="client" className="break-all">{provider.client_id}</Code>],
                ['Secret', 'Set: it is sealed and shown to nobody'],
                ['Asked for', <span key="scopes" className="break-words">{['openid', ...provider.scopes].join(', ')}</span>],
                [
                  'Who is here already',
                  provider.link_by_email ? 'is known by an address that the provider has verified' : 'is not known by their address; an invitation brings them in',
                ],
              ]}
            />
            <div className="mt-4 flex flex-wrap gap-2">
              <Button onClick={() => setEditing(true)}>Change</Button>
              <Button look="quiet" onClick={() => remove(provider.name)}>
                Remove
              </Button>
            </div>
          </>
        ) : (
          <Empty
            title="People sign in by password alone"
            actions={
              <Button look="primary" onClick={() => setEditing(true)}>
                Set up a provider
              </Button>
            }
          >
            With a provider of OpenID Connect they sign in as they do elsewhere, and need no password here.
          </Empty>
        )}
        {editing ? (
          <Suspense fallback={null}>
            <EditAccess provider={provider ?? undefined} close={() => setEditing(false)} />
          </Suspense>
        ) : null}
      </Card>
      <Card title="At the provider">
        <div className="flex flex-col gap-3">
          <p className="text-sm text-muted">
            Register this server there as a web client with a secret and the code flow. It is to send people back to this address, letter for letter:
          </p>
          <CodeBlock label="Address to send people back to" text={redirect} />
          <p className="text-sm text-muted">
            It begins with what the server was told as <Code>--public-url</Code>. Who comes by the provider for the first time needs an invitation to their address.
          </p>
          <div className="flex flex-wrap gap-2">
            <ButtonLink {...to.people()} size="sm">
              Invite people
            </ButtonLink>
            <ButtonLink {...to.guide('runbook', 'a-sign-in-provider')} size="sm" look="quiet">
              In the runbook
            </ButtonLink>
          </div>
        </div>
      </Card>
    </>
  )
}

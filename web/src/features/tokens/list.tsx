import { useQueryClient, useSuspenseQuery } from '@tanstack/react-query'
import { Ban, CircleCheck, Clock } from 'lucide-react'
import { revokeToken } from '@/api/actions'
import { newKey } from '@/api/keys'
import { me, tokens as tokensQuery } from '@/api/queries'
import type { Token, TokenState } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { Code } from '@/ui/code'
import { useConfirm } from '@/ui/confirm'
import { type Standing, Status } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'
import { grantWords, notToRevoke } from './words'

const STATES: Record<TokenState, Standing> = {
  valid: { tone: 'good', word: 'Valid', icon: CircleCheck },
  expired: { tone: 'idle', word: 'Expired', icon: Clock },
  revoked: { tone: 'idle', word: 'Revoked', icon: Ban },
}

export function TokenList({ tokens, label }: { tokens: Token[]; label: string }) {
  const { data: self } = useSuspenseQuery(me())
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const may = useMay()
  const revoke = ({ id, name, prefix }: Token) => {
    const key = newKey()
    confirm({
      title: `Revoke ${name}?`,
      will: [
        <>
          Whatever shows the token that begins with <Code>{prefix}</Code> is refused from the next request on.
        </>,
        'Streams that it has open end within seconds. This can’t be taken back: make a new one instead.',
      ],
      action: 'Revoke',
      danger: true,
      run: async () => {
        await revokeToken(id, key)
        await client.invalidateQueries(tokensQuery())
        toast.show({ tone: 'good', title: `The token ${name} is revoked.` })
      },
    })
  }
  const columns: Column<Token>[] = [
    {
      head: 'Token',
      phone: 'title',
      cell: ({ name, prefix }) => (
        <span className="min-w-0">
          <span className="block font-semibold break-words">{name}</span>
          <Code className="text-sm text-muted">{prefix}…</Code>
        </span>
      ),
    },
    { head: 'May', className: 'sm:max-w-72', cell: (token) => <Roles token={token} /> },
    { head: 'State', cell: ({ state }) => <Status standing={STATES[state]} /> },
    { head: 'Ends', cell: ({ expires_at: end }) => (end ? <Time at={end} /> : <span className="text-muted">when revoked</span>) },
    { head: 'Last used', cell: ({ last_used_at: at }) => (at ? <Time at={at} /> : <span className="text-muted">never</span>) },
    {
      head: 'Made',
      cell: ({ created_at: at, created_by: by }) => (
        <span className="text-muted max-sm:text-right">
          <Time at={at} />
          {by ? <span className="block text-sm">by {by}</span> : null}
        </span>
      ),
    },
    {
      head: <span className="sr-only">Actions</span>,
      right: true,
      cell: (token) => (
        <Button
          size="sm"
          aria-label={`Revoke ${token.name}`}
          disabledReason={notToRevoke(token, self.principal, may)}
          onClick={() => revoke(token)}
        >
          Revoke
        </Button>
      ),
    },
  ]
  return <Table label={label} columns={columns} rows={tokens} id={({ id }) => id} />
}

function Roles({ token: { grants = [], access, local } }: { token: Token }) {
  return (
    <span className="min-w-0 max-sm:text-right">
      {grants.length === 0 ? <span className="text-muted">nothing</span> : null}
      {grants.map((grant) => (
        <span key={grant.app ?? ''} className="block">
          {grantWords(grant)}
        </span>
      ))}
      {access === 'read_only' ? <span className="block text-sm text-muted">only looks</span> : null}
      {local ? <span className="block text-sm text-muted">for commands on the server’s machine</span> : null}
    </span>
  )
}

import { useQuery, useSuspenseQuery } from '@tanstack/react-query'
import { createFileRoute, useNavigate } from '@tanstack/react-router'
import { Plus } from 'lucide-react'
import { type ReactNode, useState } from 'react'
import { me, tokens } from '@/api/queries'
import type { Token } from '@/api/schema'
import { CreateToken } from '@/features/tokens/create'
import { TokenList } from '@/features/tokens/list'
import { sorted } from '@/features/tokens/words'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { Code } from '@/ui/code'
import { number } from '@/ui/format'
import { Page } from '@/ui/page'
import { Empty, Loaded } from '@/ui/states'

interface Search {
  /** Those that are not taken any more, too. */
  ended?: true
}

export const Route = createFileRoute('/_app/tokens')({
  validateSearch: (search: Record<string, unknown>): Search => (search.ended === true ? { ended: true } : {}),
  loader: ({ context }) => void context.client.prefetchQuery(tokens()),
  component: Tokens,
})

function Tokens() {
  const { ended = false } = Route.useSearch()
  const { data: self } = useSuspenseQuery(me())
  const query = useQuery(tokens())
  const navigate = useNavigate({ from: Route.fullPath })
  const [making, setMaking] = useState(false)
  return (
    <Page
      title="Tokens"
      lead="What programs and commands show to be let in. Each has roles of its own, and is told once."
      actions={
        <Button look="primary" onClick={() => setMaking(true)}>
          <Plus aria-hidden /> New token
        </Button>
      }
    >
      <Loaded query={query}>
        {(all) => {
          const { mine, machines, others, ended: count } = sorted(all, self.principal, ended)
          return (
            <>
              <Of title="Yours" tokens={mine}>
                <Empty title="You have no token">
                  Commands on another machine need one, in <Code>PLIMSOLL_TOKEN</Code>. One of yours acts in your name.
                </Empty>
              </Of>
              <Of title="Of machines" tokens={machines}>
                <Empty title="No machine has a token that you see to">Such as one for a CI server: it stays when people go.</Empty>
              </Of>
              {others.length > 0 ? <Of title="Of other people" tokens={others} /> : null}
              {count > 0 ? (
                <p>
                  <Button size="sm" look="quiet" onClick={() => void navigate({ search: ended ? {} : { ended: true } })}>
                    {ended ? 'Without those that have ended' : `Show ${count === 1 ? 'one that has' : `${number(count)} that have`} ended`}
                  </Button>
                </p>
              ) : null}
            </>
          )
        }}
      </Loaded>
      {making ? <CreateToken close={() => setMaking(false)} /> : null}
    </Page>
  )
}

const Of = ({ title, tokens, children }: { title: string; tokens: Token[]; children?: ReactNode }) => (
  <Card title={title} flush>
    {tokens.length === 0 ? children : <TokenList tokens={tokens} label={`Tokens: ${title}`} />}
  </Card>
)

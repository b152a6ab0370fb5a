// A program that waits to be let in: what it says of itself, and what it would get.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { answerDevice } from '@/api/actions'
import { explain } from '@/api/errors'
import { newKey } from '@/api/keys'
import { device } from '@/api/queries'
import type { Device } from '@/api/schema'
import { to } from '@/paths'
import { Button, ButtonLink } from '@/ui/button'
import { Card, Facts } from '@/ui/card'
import { Code } from '@/ui/code'
import { Note } from '@/ui/note'
import { Loaded } from '@/ui/states'
import { Time } from '@/ui/time'

export function Waiting({ code }: { code: string }) {
  const query = useQuery(device(code))
  return <Loaded query={query}>{(found) => (found.state === 'waiting' ? <Question device={found} /> : <Answered device={found} />)}</Loaded>
}

type Verdict = 'approve' | 'refuse'

function Question({ device: { user_code, name, address, created_at, expires_at } }: { device: Device }) {
  const client = useQueryClient()
  const [busy, setBusy] = useState<Verdict>()
  const [trouble, setTrouble] = useState<ReturnType<typeof explain>>()
  const answer = async (verdict: Verdict) => {
    setBusy(verdict)
    setTrouble(undefined)
    try {
      client.setQueryData(device(user_code).queryKey, await answerDevice(user_code, verdict, newKey()))
      await client.invalidateQueries({ queryKey: ['tokens'] })
    } catch (error) {
      setTrouble(explain(error))
    } finally {
      setBusy(undefined)
    }
  }
  return (
    <Card title={<span className="break-words">{name}</span>}>
      <div className="flex flex-col gap-4">
        <Facts
          facts={[
            ['Code', <Code key="code">{user_code}</Code>],
            ['Asks from', <span key="address" className="tabular break-all">{address}</span>],
            ['Asked', <Time key="asked" at={created_at} />],
            ['Waits until', <Time key="until" at={expires_at} />],
          ]}
        />
        <Note tone="warn" title="Only if you have begun this yourself, a moment ago">
          The program will act in your name, with all the roles that you have now, for 90 days. Anybody can send you this link, and call a
          program anything: look whether your own terminal shows this code.
        </Note>
        {trouble ? (
          <Note tone="bad" urgent title={trouble.detail}>
            {trouble.hint}
          </Note>
        ) : null}
        <div className="flex flex-wrap gap-2">
          <Button onClick={() => void answer('refuse')} busy={busy === 'refuse'}>
            Send it away
          </Button>
          <Button look="primary" onClick={() => void answer('approve')} busy={busy === 'approve'}>
            Let it in
          </Button>
        </div>
      </div>
    </Card>
  )
}

function Answered({ device: { state, name } }: { device: Device }) {
  return state === 'approved' ? (
    <Note
      tone="good"
      urgent
      title={
        <>
          <span className="break-words">{name}</span> may act for you
        </>
      }
      actions={<ButtonLink {...to.tokens()}>Your tokens</ButtonLink>}
    >
      Go back to your terminal. Its token stands among yours, where you can revoke it.
    </Note>
  ) : (
    <Note
      tone="idle"
      urgent
      title={
        <>
          <span className="break-words">{name}</span> was sent away
        </>
      }
    >
      It got nothing.
    </Note>
  )
}

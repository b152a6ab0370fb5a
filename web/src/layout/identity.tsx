// "Confirm that it is you": asked once when a request needs a fresh sign-in; the request is then repeated by itself.
import { useQueryClient } from '@tanstack/react-query'
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from 'react'
import { type Proof, confirmIdentity, fetchMe, methods } from '@/api/auth'
import { openDoors } from '@/api/client'
import { ApiError, explain, inOneLine } from '@/api/errors'
import { secondFactor, sessions } from '@/api/queries'
import { Button } from '@/ui/button'
import { CodeField, bare } from '@/ui/code-field'
import { Dialog } from '@/ui/dialog'
import { Field, Input } from '@/ui/field'

/** By what somebody can show that it is them. */
interface Ways {
  /** There is a second factor: a code will do. */
  code: boolean
  /** The provider by whose word they came, who may have given them no password. */
  provider?: string
}

export function IdentityProvider({ children }: { children: ReactNode }) {
  const client = useQueryClient()
  const [open, setOpen] = useState(false)
  const [ways, setWays] = useState<Ways>({ code: false })
  // All that wait for the same answer: several requests may be refused at once.
  const waiting = useRef<((confirmed: boolean) => void)[]>([])
  const settle = (confirmed: boolean) => {
    for (const resolve of waiting.current.splice(0)) resolve(confirmed)
    setOpen(false)
    // One recovery code less, perhaps.
    if (confirmed && ways.code) void client.invalidateQueries(secondFactor())
  }
  useEffect(() => {
    openDoors({
      confirmIdentity: () =>
        new Promise((resolve) => {
          // Who waits already is answered with it.
          if (waiting.current.push(resolve) > 1) return
          void Promise.allSettled([
            client.fetchQuery({ ...secondFactor(), staleTime: 0 }),
            client.fetchQuery(sessions()),
            client.fetchQuery({ queryKey: ['auth', 'methods'], queryFn: methods }),
          ]).then(([factor, here, door]) => {
            const mine = here.status === 'fulfilled' ? here.value.find(({ current }) => current) : undefined
            const provider = door.status === 'fulfilled' ? (door.value.oidc ?? undefined) : undefined
            setWays({ code: factor.status === 'fulfilled' && factor.value.enabled, provider: mine?.via === 'oidc' ? provider : undefined })
            setOpen(true)
          })
        }),
    })
  }, [client])
  return (
    <>
      {children}
      <Ask open={open} ways={ways} settle={settle} />
    </>
  )
}

function Ask({ open, ways, settle }: { open: boolean; ways: Ways; settle(confirmed: boolean): void }) {
  const field = useRef<HTMLInputElement>(null)
  const [wanted, setWanted] = useState<keyof Proof>()
  const [typed, setTyped] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string>()
  const by = ways.code ? (wanted ?? 'code') : 'password'
  const forget = () => {
    setTyped('')
    setError(undefined)
  }
  const end = (confirmed: boolean) => {
    forget()
    setWanted(undefined)
    settle(confirmed)
  }
  const change = (text: string) => {
    setTyped(text)
    setError(undefined)
  }
  const refuse = (why: string) => {
    setError(why)
    // The next try takes its place.
    field.current?.focus()
    field.current?.select()
  }
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    if (busy) return
    if (typed.trim() === '') return refuse(by === 'code' ? 'The code that your app shows' : 'Your password')
    setBusy(true)
    try {
      await confirmIdentity(by === 'code' ? { code: bare(typed) } : { password: typed })
      end(true)
    } catch (caught) {
      // The session itself may be over: that leads to the sign-in page, and there is nothing left to confirm.
      if (caught instanceof ApiError && caught.status === 401 && (await isOver())) return end(false)
      refuse(inOneLine(explain(caught)))
    } finally {
      setBusy(false)
    }
  }
  const swap = () => {
    forget()
    setWanted(by === 'code' ? 'password' : 'code')
    // Not before the other field is there.
    requestAnimationFrame(() => field.current?.focus())
  }
  return (
    <Dialog
      open={open}
      onOpenChange={(next) => (next || busy ? undefined : end(false))}
      title="Confirm that it is you"
      description="You signed in a while ago, and before something like this you are asked again."
      focus={field}
      firm
      actions={
        <>
          <Button onClick={() => (busy ? undefined : end(false))}>Don’t do it</Button>
          <Button look="primary" type="submit" form="confirm-identity" busy={busy}>
            Confirm
          </Button>
        </>
      }
    >
      <form id="confirm-identity" onSubmit={(event) => void submit(event)} noValidate className="flex flex-col items-start gap-3 *:w-full">
        {by === 'code' ? (
          <CodeField ref={field} value={typed} onChange={change} error={error} />
        ) : (
          <Field label="Password" error={error}>
            <Input ref={field} type="password" autoComplete="current-password" value={typed} onChange={(event) => change(event.target.value)} />
          </Field>
        )}
        {ways.code ? (
          <Button look="quiet" size="sm" className="-ml-2.5 w-auto!" onClick={swap}>
            {by === 'code' ? 'Give the password instead' : 'Give a code instead'}
          </Button>
        ) : null}
        {ways.provider ? <Anew provider={ways.provider} /> : null}
      </form>
    </Dialog>
  )
}

/** For who has no password: whoever has just come in is asked nothing. */
const Anew = ({ provider }: { provider: string }) => (
  <div className="text-sm text-muted">
    <p>You came by {provider}. If you have no password here, sign in by it anew; what you have typed on this page is lost, so do it again then.</p>
    <Button size="sm" className="mt-2" onClick={() => location.assign(`/auth/oidc/start?next=${encodeURIComponent(location.pathname + location.search)}`)}>
      Sign in with {provider} anew
    </Button>
  </div>
)

/** Asking who one is goes to the sign-in page by itself when it is. */
async function isOver(): Promise<boolean> {
  try {
    await fetchMe()
    return false
  } catch (error) {
    return error instanceof ApiError && error.status === 401
  }
}

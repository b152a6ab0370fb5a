// "Confirm that it is you": asked once when a request needs a fresh sign-in; the request is then repeated by itself.
import { type FormEvent, type ReactNode, useEffect, useRef, useState } from 'react'
import { confirmPassword } from '@/api/auth'
import { openDoors } from '@/api/client'
import { explain } from '@/api/errors'
import { Button } from '@/ui/button'
import { Dialog } from '@/ui/dialog'
import { Field, Input } from '@/ui/field'

export function IdentityProvider({ children }: { children: ReactNode }) {
  const [open, setOpen] = useState(false)
  const [password, setPassword] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<string>()
  // All that wait for the same answer: several requests may be refused at once.
  const waiting = useRef<((confirmed: boolean) => void)[]>([])
  const settle = (confirmed: boolean) => {
    for (const resolve of waiting.current.splice(0)) resolve(confirmed)
    setOpen(false)
    setPassword('')
    setError(undefined)
  }
  useEffect(() => {
    openDoors({
      confirmIdentity: () =>
        new Promise((resolve) => {
          waiting.current.push(resolve)
          setOpen(true)
        }),
    })
  }, [])
  const submit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    try {
      await confirmPassword(password)
      settle(true)
    } catch (caught) {
      setError(explain(caught).detail)
    } finally {
      setBusy(false)
    }
  }
  return (
    <>
      {children}
      <Dialog
        open={open}
        onOpenChange={(next) => (next ? undefined : settle(false))}
        title="Confirm that it is you"
        description="You signed in a while ago, and this changes who may do what."
        firm
        actions={
          <>
            <Button onClick={() => settle(false)}>Don’t do it</Button>
            <Button look="primary" type="submit" form="confirm-identity" busy={busy}>
              Confirm
            </Button>
          </>
        }
      >
        <form id="confirm-identity" onSubmit={(event) => void submit(event)}>
          <Field label="Password" error={error}>
            <Input
              type="password"
              autoComplete="current-password"
              value={password}
              onChange={(event) => {
                setPassword(event.target.value)
                setError(undefined)
              }}
            />
          </Field>
        </form>
      </Dialog>
    </>
  )
}

// A code beside the password: switched on with an app that scans the picture, and off again.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { beginSecondFactor, confirmSecondFactor, removeSecondFactor } from '@/api/actions'
import { explain, inOneLine } from '@/api/errors'
import { newKey } from '@/api/keys'
import { secondFactor } from '@/api/queries'
import type { Picture, Setup } from '@/api/schema'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { CodeBlock } from '@/ui/code'
import { bare } from '@/ui/code-field'
import { useConfirm } from '@/ui/confirm'
import { Field, Input } from '@/ui/field'
import { useForm } from '@/ui/form'
import { plural } from '@/ui/format'
import { Note } from '@/ui/note'
import { Loaded } from '@/ui/states'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'

/** So few that it is time for new ones. */
const FEW = 3

export function SecondFactor() {
  const query = useQuery(secondFactor())
  const [setup, setSetup] = useState<Setup>()
  const [codes, setCodes] = useState<string[]>()
  if (codes) return <Codes codes={codes} close={() => setCodes(undefined)} />
  const now = query.data
  if (!now) {
    return (
      <Card title="Second factor">
        <Loaded query={query}>{() => null}</Loaded>
      </Card>
    )
  }
  if (now.enabled) return <On since={now.since} left={now.recovery_codes} />
  return setup ? (
    <Scan
      setup={setup}
      close={() => setSetup(undefined)}
      done={(made) => {
        setSetup(undefined)
        setCodes(made)
      }}
    />
  ) : (
    <Off begun={setSetup} />
  )
}

function Off({ begun }: { begun(setup: Setup): void }) {
  const [busy, setBusy] = useState(false)
  const [trouble, setTrouble] = useState<string>()
  const begin = async () => {
    setBusy(true)
    setTrouble(undefined)
    try {
      // Each time a fresh key: the answer to a repetition has no secret in it.
      const { setup } = await beginSecondFactor(newKey())
      if (setup) begun(setup)
    } catch (error) {
      setTrouble(inOneLine(explain(error)))
    } finally {
      setBusy(false)
    }
  }
  return (
    <Card title="Second factor">
      <p className="text-sm text-muted">
        Off. With one, signing in takes a code of an app on your phone besides the password: who has learned the password alone does not get
        in.
      </p>
      {trouble ? <Note tone="bad" urgent title={trouble} className="mt-3" /> : null}
      <div className="mt-4">
        <Button busy={busy} onClick={() => void begin()}>
          Set up
        </Button>
      </div>
    </Card>
  )
}

function Scan({ setup, done, close }: { setup: Setup; done(codes: string[]): void; close(): void }) {
  const client = useQueryClient()
  const form = useForm({
    initial: { code: '' },
    check: ({ code }) => ({ code: /^\d{6}$/.test(bare(code)) ? undefined : 'The six digits that the app shows' }),
    submit: async ({ code }, key) => {
      const { recovery_codes: codes } = await confirmSecondFactor(bare(code), key)
      done(codes ?? [])
      await client.invalidateQueries(secondFactor())
    },
  })
  return (
    <Card title="Second factor">
      <form onSubmit={form.onSubmit} noValidate className="flex flex-col gap-4">
        <p className="text-sm text-muted">Scan this with an authenticator app, or type the key into it.</p>
        <Qr picture={setup.picture} />
        <CodeBlock text={setup.secret} label="The key" />
        <Field label="Code" hint="What the app shows then." error={form.errors.code ?? (form.trouble && inOneLine(form.trouble))}>
          <Input
            inputMode="numeric"
            autoComplete="one-time-code"
            spellCheck={false}
            value={form.values.code}
            onChange={(event) => form.set('code', event.target.value)}
            className="text-lg tracking-widest"
          />
        </Field>
        <div className="flex flex-wrap gap-2">
          <Button type="submit" look="primary" busy={form.busy}>
            Switch on
          </Button>
          <Button look="quiet" onClick={close}>
            Not now
          </Button>
        </div>
      </form>
    </Card>
  )
}

/** Dark on light whatever the theme: cameras expect that. */
function Qr({ picture: { size, path } }: { picture: Picture }) {
  return (
    <svg viewBox={`0 0 ${size} ${size}`} role="img" aria-label="The key as a QR code" shapeRendering="crispEdges" className="size-48 self-start rounded-md">
      <rect width={size} height={size} fill="#fff" />
      <path d={path} fill="#000" />
    </svg>
  )
}

function Codes({ codes, close }: { codes: string[]; close(): void }) {
  return (
    <Card title="Second factor">
      <div className="flex flex-col gap-4">
        <Note tone="warn" urgent title="Keep these recovery codes. They are shown this once.">
          Each is good once in the place of a code, for when the phone is lost. Print them, or put them where your passwords are.
        </Note>
        <CodeBlock text={codes.join('\n')} label="Recovery codes" />
        <div>
          <Button look="primary" onClick={close}>
            I have them
          </Button>
        </div>
      </div>
    </Card>
  )
}

function On({ since, left }: { since?: string | null; left: number }) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const ask = () =>
    confirm({
      title: 'Switch the second factor off?',
      will: ['Signing in takes your password and nothing else.', 'The app on your phone and the recovery codes are worth nothing any more.'],
      action: 'Switch off',
      danger: true,
      run: async () => {
        await removeSecondFactor(newKey())
        await client.invalidateQueries(secondFactor())
        toast.show({ tone: 'good', title: 'The second factor is off.' })
      },
    })
  return (
    <Card title="Second factor">
      <div className="flex flex-col gap-4">
        <p className="text-sm">
          On{since ? <> since <Time at={since} /></> : null}, with {plural(left, 'recovery code')} left.
        </p>
        {left <= FEW ? (
          <Note tone="warn" title="Few recovery codes are left">
            For new ones, switch it off and set it up again.
          </Note>
        ) : null}
        <div>
          <Button onClick={ask}>Switch off</Button>
        </div>
      </div>
    </Card>
  )
}

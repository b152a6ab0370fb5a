import { useQuery, useQueryClient } from '@tanstack/react-query'
import { createFileRoute, useRouter } from '@tanstack/react-router'
import { useState } from 'react'
import { type SignedIn, fetchMe, methods, secondFactor, signIn } from '@/api/auth'
import { ApiError, inOneLine } from '@/api/errors'
import { Door } from '@/layout/door'
import { safeNext } from '@/paths'
import { Button } from '@/ui/button'
import { Code } from '@/ui/code'
import { CodeField, bare } from '@/ui/code-field'
import { Field, Input } from '@/ui/field'
import { useForm } from '@/ui/form'
import { Note } from '@/ui/note'
import { useToast } from '@/ui/toast'

export const Route = createFileRoute('/sign-in')({
  validateSearch: (search: Record<string, unknown>): { next?: string; trouble?: string } => ({
    ...(typeof search.next === 'string' ? { next: search.next } : {}),
    ...(typeof search.trouble === 'string' ? { trouble: search.trouble } : {}),
  }),
  component: SignIn,
})

function SignIn() {
  const { next, trouble } = Route.useSearch()
  const { data: door } = useQuery({ queryKey: ['auth', 'methods'], queryFn: methods })
  const [ticket, setTicket] = useState<string>()
  const router = useRouter()
  const client = useQueryClient()
  const enter = async () => {
    client.clear()
    router.history.push(safeNext(next))
  }
  if (ticket !== undefined) return <SecondFactor ticket={ticket} enter={enter} back={() => setTicket(undefined)} />
  if (door?.owner_missing) return <NobodyYet />
  return (
    <Door title="Sign in">
      <Trouble word={trouble} />
      <Password enter={enter} secondFactor={setTicket} />
      {door?.oidc ? (
        <>
          <div className="my-4 flex items-center gap-3 text-sm text-muted before:h-px before:grow before:bg-line after:h-px after:grow after:bg-line">
            or
          </div>
          {/* Neither a link of the router nor a form: forms may not lead to others, and this leaves for the provider's page. */}
          <Button className="w-full" onClick={() => location.assign(`/auth/oidc/start?next=${encodeURIComponent(safeNext(next))}`)}>
            Sign in with {door.oidc}
          </Button>
        </>
      ) : null}
      <p className="mt-5 text-sm text-muted">
        No account? Somebody who looks after people here can invite you. On the server’s machine: <Code>plimsoll users invite</Code>
      </p>
    </Door>
  )
}

/** Why somebody who came back from the provider is not signed in, by the word in the address. */
const TROUBLES: Record<string, [title: string, detail: string]> = {
  over: ['That took too long, or began in another browser.', 'Try it again from here.'],
  denied: ['The provider did not let you in.', 'Try it again, or sign in with your password.'],
  provider: ['The provider did not answer as it should.', 'Try again later, or sign in with your password. The server’s log says more.'],
  nobody: ['Nobody here knows you by that account.', 'Ask somebody who looks after people here to invite your address.'],
  unproven: [
    'Somebody here has your address, and nobody has made sure that it is theirs.',
    'If that is you, sign in with your password. An owner can remove them and invite your address.',
  ],
  unavailable: ['The server can’t sign anybody in right now.', 'Try again in a moment.'],
}

function Trouble({ word = '' }: { word?: string }) {
  if (!Object.hasOwn(TROUBLES, word)) return null
  const [title, detail] = TROUBLES[word] ?? []
  return (
    <Note tone="warn" urgent title={title} className="mb-4">
      {detail}
    </Note>
  )
}

function Password({ enter, secondFactor }: { enter(): Promise<void>; secondFactor(ticket: string): void }) {
  const toast = useToast()
  const form = useForm({
    initial: { email: '', password: '' },
    check: ({ email, password }) => ({
      email: email.trim() === '' ? 'Your e-mail address' : undefined,
      password: password === '' ? 'Your password' : undefined,
    }),
    submit: async ({ email, password }) => {
      const answer = await signIn(email, password)
      if (answer.state === 'second_factor') return secondFactor(answer.ticket)
      if (!(await cookieArrived())) {
        // Safari keeps no secure cookie on plain HTTP, not even on the machine itself, where that is safe.
        await signIn(email, password, true)
        await fetchMe()
        toast.show({ tone: 'warn', title: 'This browser keeps no secure cookies on plain HTTP, so a plain one is used on this machine.' })
      }
      return enter()
    },
  })
  return (
    <form onSubmit={form.onSubmit} noValidate className="flex flex-col gap-4">
      <Field label="E-mail" error={form.errors.email}>
        <Input
          type="email"
          name="email"
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          value={form.values.email}
          onChange={(event) => form.set('email', event.target.value)}
        />
      </Field>
      <Field label="Password" error={form.errors.password}>
        <Input
          type="password"
          name="password"
          autoComplete="current-password"
          value={form.values.password}
          onChange={(event) => form.set('password', event.target.value)}
        />
      </Field>
      {form.trouble ? (
        <Note tone="bad" urgent title={form.trouble.detail}>
          {form.trouble.hint}
        </Note>
      ) : null}
      <Button type="submit" look="primary" busy={form.busy}>
        Sign in
      </Button>
    </form>
  )
}

async function cookieArrived(): Promise<boolean> {
  try {
    await fetchMe()
    return true
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) return false
    throw error
  }
}

function SecondFactor({ ticket, enter, back }: { ticket: string; enter(): Promise<void>; back(): void }) {
  const form = useForm({
    initial: { code: '' },
    check: ({ code }) => ({ code: code.trim() === '' ? 'The code that your app shows' : undefined }),
    submit: async ({ code }) => {
      const answer: SignedIn = await secondFactor(ticket, bare(code))
      if (answer.state === 'signed_in') await enter()
    },
  })
  return (
    <Door title="Second step">
      <form onSubmit={form.onSubmit} noValidate className="flex flex-col gap-4">
        <CodeField
          // The page has nothing else to do.
          // oxlint-disable-next-line jsx-a11y/no-autofocus
          autoFocus
          value={form.values.code}
          onChange={(code) => form.set('code', code)}
          error={form.errors.code ?? (form.trouble && inOneLine(form.trouble))}
        />
        <Button type="submit" look="primary" busy={form.busy}>
          Go on
        </Button>
        <Button look="quiet" onClick={back}>
          Back
        </Button>
      </form>
    </Door>
  )
}

const NobodyYet = () => (
  <Door title="Nobody can sign in yet">
    <p>This server has no owner. When it started for the first time, it printed a link for the first one. To have it printed again, on the server’s machine:</p>
    <pre className="mt-3 rounded-md border border-line bg-sunken px-3 py-2 text-sm whitespace-pre-wrap">plimsoll users invite --role owner</pre>
  </Door>
)

import { useNavigate } from '@tanstack/react-router'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { Code } from '@/ui/code'
import { Field, Input } from '@/ui/field'
import { useForm } from '@/ui/form'
import { codeOf } from './code'

/** For who came without the code, or with a part of it. */
export function AskCode({ typed = '' }: { typed?: string }) {
  const navigate = useNavigate()
  const form = useForm({
    initial: { code: typed },
    check: ({ code }) => ({ code: codeOf(code) === undefined ? 'Eight letters, such as WDJB-MJHT' : undefined }),
    submit: ({ code }) => navigate(to.device(codeOf(code))),
  })
  return (
    <Card title="The code">
      <form onSubmit={form.onSubmit} noValidate className="flex flex-col gap-4">
        <Field
          label="Code"
          hint={
            <>
              What <Code>plimsoll login</Code> shows.
            </>
          }
          error={form.errors.code}
        >
          <Input
            autoComplete="off"
            autoCapitalize="characters"
            spellCheck={false}
            value={form.values.code}
            onChange={(event) => form.set('code', event.target.value)}
            className="text-lg tracking-widest uppercase"
          />
        </Field>
        <div>
          <Button type="submit" look="primary" busy={form.busy}>
            Go on
          </Button>
        </div>
      </form>
    </Card>
  )
}

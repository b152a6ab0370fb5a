// Apps that one does not want to hear of: for oneself alone.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { BellOff } from 'lucide-react'
import { useRef } from 'react'
import { mute, mutes, unmute } from '@/api/notices'
import { Intention } from '@/api/keys'
import { apps } from '@/api/queries'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { Field, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { Note } from '@/ui/note'
import { Loaded } from '@/ui/states'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'

const TIMES: [string, string][] = [
  ['in 1h', 'For an hour'],
  ['in 8h', 'For eight hours'],
  ['in 24h', 'For a day'],
  ['in 7d', 'For a week'],
  ['', 'Until I say otherwise'],
]

export function Mutes() {
  const query = useQuery(mutes())
  const client = useQueryClient()
  const toast = useToast()
  const intention = useRef(new Intention())
  const { data: known } = useQuery(apps({ limit: 500 }))
  const refresh = () => Promise.all([['mutes'], ['notices']].map((queryKey) => client.invalidateQueries({ queryKey })))
  const form = useForm({
    initial: { app: '', until: 'in 8h' },
    check: ({ app }) => ({ app: app === '' ? 'Which app' : undefined }),
    submit: async ({ app, until }, key) => {
      await mute(app, until || undefined, key)
      form.set('app', '')
      await refresh()
      toast.show({ tone: 'good', title: `You hear nothing of ${app}.`, children: 'Its channels are told all the same.' })
    },
  })
  const hear = async (app: string) => {
    try {
      await unmute(app, intention.current.keyFor(['unmute', app]))
      intention.current.answered()
      await refresh()
    } catch (error) {
      toast.fail(error)
    }
  }
  return (
    <Card title="Muted apps">
      <Loaded query={query}>
        {(list) => {
          const open = (known?.items ?? []).filter(({ name }) => !list.some(({ app }) => app === name))
          return (
            <div className="flex flex-col gap-4">
              {list.length === 0 ? <p className="text-muted">None: you are told of every app that you may see.</p> : null}
              {list.length > 0 ? (
                <ul aria-label="Muted apps" className="flex flex-col gap-1">
                  {list.map(({ app, until }) => (
                    <li key={app} className="flex items-center gap-3">
                      <BellOff className="size-4 shrink-0 text-muted" aria-hidden />
                      <span className="min-w-0 grow">
                        <span className="font-medium">{app}</span>{' '}
                        <span className="text-sm text-muted">{until ? <>until <Time at={until} absolute /></> : 'until you say otherwise'}</span>
                      </span>
                      <Button size="sm" aria-label={`Hear of ${app} again`} onClick={() => void hear(app)}>
                        Hear of it
                      </Button>
                    </li>
                  ))}
                </ul>
              ) : null}
              <form onSubmit={form.onSubmit} noValidate aria-label="Mute an app" className="flex flex-wrap items-end gap-3">
                <Field label="App" error={form.errors.app} className="min-w-36 grow">
                  <Select value={form.values.app} onChange={(event) => form.set('app', event.target.value)}>
                    <option value="">Choose one</option>
                    {open.map(({ name }) => (
                      <option key={name} value={name}>
                        {name}
                      </option>
                    ))}
                  </Select>
                </Field>
                <Field label="How long" error={form.errors.until} className="min-w-36 grow">
                  <Select value={form.values.until} onChange={(event) => form.set('until', event.target.value)}>
                    {TIMES.map(([value, word]) => (
                      <option key={word} value={value}>
                        {word}
                      </option>
                    ))}
                  </Select>
                </Field>
                <Button type="submit" busy={form.busy}>
                  <BellOff aria-hidden /> Mute
                </Button>
              </form>
              {form.trouble ? (
                <Note tone="bad" urgent title={form.trouble.detail}>
                  {form.trouble.hint}
                </Note>
              ) : null}
            </div>
          )
        }}
      </Loaded>
    </Card>
  )
}

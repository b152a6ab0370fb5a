import { useQuery } from '@tanstack/react-query'
import { useId } from 'react'
import { audit, tokens } from '@/api/queries'
import type { AuditRecord } from '@/api/schema'
import { useHome } from '@/preferences'
import { Button } from '@/ui/button'
import { Field, Input, Select } from '@/ui/field'
import { useTyped } from '@/ui/typed'
import { type AuditSearch, OUTCOMES, fieldOf, instantOf, isFiltered } from './search'
import { outcomes } from './words'

interface Props {
  search: AuditSearch
  /** What is shown: its people and operations are offered. */
  records: AuditRecord[]
  change(to: AuditSearch): void
}

export function Filter({ search, records, change }: Props) {
  const list = useId()
  const [operation, setOperation] = useTyped(search.operation ?? '')
  const [app, setApp] = useTyped(search.app ?? '')
  const actors = useActors(search, records)
  const operations = [...new Set(records.map(({ operation }) => operation))].sort()
  const filter = (more: AuditSearch) => change({ ...search, cursor: undefined, ...more })
  const typed = () => {
    const now = { operation: operation.trim() || undefined, app: app.trim() || undefined }
    if (now.operation !== search.operation || now.app !== search.app) filter(now)
  }
  return (
    <form
      role="search"
      aria-label="Filter the audit log"
      className="grid grid-cols-2 gap-2 border-b border-line p-3 *:min-w-0 sm:grid-cols-3 lg:grid-cols-4"
      onSubmit={(event) => {
        event.preventDefault()
        typed()
      }}
    >
      <Field label="Who">
        <Select value={search.actor ?? ''} onChange={(event) => filter({ actor: event.target.value || undefined })}>
          <option value="">Everybody</option>
          {actors.map(([id, name]) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </Select>
      </Field>
      <Field label="Operation">
        <Input
          value={operation}
          list={list}
          placeholder="every one"
          autoCapitalize="none"
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => setOperation(event.target.value)}
          onBlur={typed}
        />
      </Field>
      <datalist id={list}>
        {operations.map((name) => (
          <option key={name} value={name}>
              {name}
            </option>
        ))}
      </datalist>
      <Field label="App">
        <Input
          value={app}
          placeholder="all, and the server"
          autoCapitalize="none"
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => setApp(event.target.value)}
          onBlur={typed}
        />
      </Field>
      <Field label="Outcome">
        <Select
          value={search.outcome ?? ''}
          onChange={(event) => filter({ outcome: OUTCOMES.find((outcome) => outcome === event.target.value) })}
        >
          <option value="">Every one</option>
          {OUTCOMES.map((outcome) => (
            <option key={outcome} value={outcome}>
              {outcomes[outcome].word}
            </option>
          ))}
        </Select>
      </Field>
      <Instant label="Since" at={search.since} change={(since) => filter({ since })} />
      <Instant label="Before" at={search.until} change={(until) => filter({ until })} />
      {/* Enter in a field sends a form that has such a button. */}
      <button type="submit" hidden>
        Filter
      </button>
      {isFiltered(search) ? (
        <Button look="quiet" className="self-end justify-self-start" onClick={() => change({})}>
          Show all
        </Button>
      ) : null}
    </form>
  )
}

/** Taken when one leaves it: while it is written it is not the time that is meant. */
function Instant({ label, at, change }: { label: string; at?: string; change(to: string | undefined): void }) {
  const home = useHome()
  const field = fieldOf(at, home)
  const [value, setValue] = useTyped(field)
  const done = () => {
    if (value !== field) change(instantOf(value, home))
  }
  return (
    <Field label={label} hint={home} className="max-sm:col-span-2">
      <Input type="datetime-local" value={value} onChange={(event) => setValue(event.target.value)} onBlur={done} />
    </Field>
  )
}

/** Those that may be meant, by their ids: who is in the newest records, who is shown, machines, and who is chosen. */
function useActors({ actor, app }: AuditSearch, records: AuditRecord[]): [id: string, name: string][] {
  const { data: newest } = useQuery(audit({ app, limit: 200 }))
  const { data: known } = useQuery(tokens())
  const names = new Map<string, string>()
  for (const token of known ?? []) if (!token.user) names.set(token.id, token.name)
  for (const record of [...(newest?.items ?? []), ...records]) names.set(record.actor, record.actor_name)
  if (actor !== undefined && !names.has(actor)) names.set(actor, actor)
  return [...names].sort(([, a], [, b]) => a.localeCompare(b))
}

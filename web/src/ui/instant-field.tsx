// A point in time: as the clocks of a zone show it, and below it as other clocks do.
import type { ReactNode } from 'react'
import { Field, Input, Select } from './field'
import { exact } from './format'
import { instants, zones } from './zones'

export interface WallTime {
  /** `2026-11-21T19:53`, or empty. */
  local: string
  zone: string
  /** Where the clocks show it twice: the later one. */
  later: boolean
}

/** The instant that is meant, if there is one. */
export function meant({ local, zone, later }: WallTime): string | undefined {
  const found = instants(local, zone)
  return later ? (found[1] ?? found[0]) : found[0]
}

/** What is wrong with it; nothing when it is empty, too. */
export function wrong(time: WallTime, now = Date.now()): string | undefined {
  if (time.local === '') return undefined
  const at = meant(time)
  if (at === undefined) return `The clocks in ${time.zone} don’t show this: they are put forward over it. Choose another time`
  return Date.parse(at) < now ? 'A time that is still to come' : undefined
}

interface Props {
  label: ReactNode
  hint?: ReactNode
  value: WallTime
  onChange(value: WallTime): void
  error?: string
  /** The reader's own zone: what was chosen, or the browser's. */
  home: string
}

export function InstantField({ label, hint, value, onChange, error, home }: Props) {
  const found = instants(value.local, value.zone)
  const at = meant(value)
  const others = [...new Set([home, 'UTC'])].filter((zone) => zone !== value.zone)
  return (
    <div className="flex flex-col gap-3">
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label={label} hint={hint} error={error}>
          <Input type="datetime-local" value={value.local} onChange={(event) => onChange({ ...value, local: event.target.value, later: false })} />
        </Field>
        <ZoneField value={value.zone} onChange={(zone) => onChange({ ...value, zone, later: false })} />
      </div>
      {found.length > 1 ? (
        <Field label="Which one" hint={`The clocks in ${value.zone} are put back then, and show this twice.`}>
          <Select value={value.later ? 'later' : 'earlier'} onChange={(event) => onChange({ ...value, later: event.target.value === 'later' })}>
            <option value="earlier">The first: {exact(found[0] ?? '', 'UTC')}</option>
            <option value="later">The second: {exact(found[1] ?? '', 'UTC')}</option>
          </Select>
        </Field>
      ) : null}
      {at === undefined ? null : (
        <p className="text-sm text-muted" role="status">
          That is {others.map((zone) => `${exact(at, zone)}${zone === 'UTC' ? '' : ` in ${zone}`}`).join(', ')}.
        </p>
      )}
    </div>
  )
}

export function ZoneField({ value, onChange, error }: { value: string; onChange(zone: string): void; error?: string }) {
  return (
    <Field label="Time zone" error={error}>
      <Select value={value} onChange={(event) => onChange(event.target.value)}>
        {zones(value).map((zone) => (
          <option key={zone} value={zone}>
            {zone}
          </option>
        ))}
      </Select>
    </Field>
  )
}

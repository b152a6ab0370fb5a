// Forms: the API checks what is sent, and its answer names the field.
import { type FormEvent, useCallback, useRef, useState } from 'react'
import { ApiError, explain, inOneLine, sentence } from '@/api/errors'
import { Intention } from '@/api/keys'

export type Errors<Values> = Partial<Record<keyof Values, string>>

interface Options<Values> {
  initial: Values
  /** What can be told without asking, such as a field that is empty. */
  check?(values: Values): Errors<Values>
  /** Sends it, under the key: a repetition is harmless. */
  submit(values: Values, key: string): Promise<unknown>
}

export interface Form<Values> {
  values: Values
  set<Name extends keyof Values>(name: Name, value: Values[Name]): void
  errors: Errors<Values>
  /** What belongs to no field. */
  trouble?: ReturnType<typeof explain>
  busy: boolean
  changed: boolean
  onSubmit(event?: FormEvent): void
  reset(to?: Values): void
}

/**
 * The field that a problem speaks of: the API writes names of fields between backticks. What is well written and can't be done begins
 * with it; of `server.port` the last part is the form's.
 */
export function fieldOf<Values extends object>(error: unknown, values: Values): keyof Values | undefined {
  if (!(error instanceof ApiError)) return undefined
  const { detail } = error.problem
  const found = error.is('invalid') ? [...detail.matchAll(/`([a-z_.]+)`/g)] : error.is('unprocessable') ? [...detail.matchAll(/^`([a-z_.]+)`: /g)] : []
  const named = found.flatMap(([, name = '']) => [name, name.slice(name.lastIndexOf('.') + 1)])
  return (Object.keys(values) as (keyof Values & string)[]).find((name) => named.includes(name))
}

/** Where the field is, its name in the API says nothing more. */
function atField({ detail, hint }: ReturnType<typeof explain>): string {
  return inOneLine({ detail: sentence(detail.replace(/^`[a-z_.]+`: /, '')), hint })
}

export function useForm<Values extends object>({ initial, check, submit }: Options<Values>): Form<Values> {
  const [values, setValues] = useState(initial)
  const [start, setStart] = useState(initial)
  const [errors, setErrors] = useState<Errors<Values>>({})
  const [trouble, setTrouble] = useState<ReturnType<typeof explain>>()
  const [busy, setBusy] = useState(false)
  const intention = useRef<Intention>(null)

  const set = useCallback(<Name extends keyof Values>(name: Name, value: Values[Name]) => {
    setValues((before) => ({ ...before, [name]: value }))
    setErrors((before) => ({ ...before, [name]: undefined }))
  }, [])

  const reset = useCallback((to?: Values) => {
    setStart((before) => to ?? before)
    setValues((before) => to ?? before)
    setErrors({})
    setTrouble(undefined)
  }, [])

  const send = async () => {
    const found = check?.(values) ?? {}
    setErrors(found)
    setTrouble(undefined)
    if (Object.values(found).some((error) => error !== undefined)) return
    intention.current ??= new Intention()
    setBusy(true)
    try {
      await submit(values, intention.current.keyFor(values))
      intention.current.answered()
    } catch (error) {
      // Without an answer it may have been done: the next try is the same intention.
      if (error instanceof ApiError) intention.current.answered()
      const field = fieldOf(error, values)
      if (field === undefined) setTrouble(explain(error))
      else setErrors({ [field]: atField(explain(error)) } as Errors<Values>)
    } finally {
      setBusy(false)
    }
  }

  return {
    values,
    set,
    errors,
    trouble,
    busy,
    changed: JSON.stringify(values) !== JSON.stringify(start),
    onSubmit: (event) => {
      event?.preventDefault()
      if (!busy) void send()
    },
    reset,
  }
}

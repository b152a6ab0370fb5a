// What a record tells besides, in lines that people read. Pure.
import type { AuditRecord } from '@/api/schema'

export interface Line {
  /** Such as `source.url`; empty where the whole thing is one value. */
  name: string
  /** Of what was changed: how it was. */
  before?: string
  /** How it is now; or what was asked for, or went wrong. */
  after: string
}

type Of = Pick<AuditRecord, 'detail' | 'app' | 'environment' | 'target'>

/** What changed if the record knows it, else what was asked for; then what was wrong, and how often. */
export function linesOf({ detail, app, environment, target }: Of): Line[] {
  const { request, before, after, error, times, ...more } = detail
  const changed = 'before' in detail || 'after' in detail
  const lines = changed ? changes(before, after) : asked(request, [app, environment, target])
  for (const [name, value] of flat(more)) lines.push({ name, after: value })
  const why = isObject(error) ? error.detail : error
  if (why !== undefined && why !== null) lines.push({ name: 'because', after: word(why) })
  if (typeof times === 'number' && times > 1) lines.push({ name: 'times', after: String(times) })
  return lines
}

/** What is not the same before and after. */
function changes(before: unknown, after: unknown): Line[] {
  const was = flat(before)
  const is = flat(after)
  const names = [...new Set([...was.keys(), ...is.keys()])]
  // A thing that comes or goes as a whole has parts on one side, and "nothing" for the whole on the other.
  const parts = names.some((name) => name !== '')
  return names
    .filter((name) => was.get(name) !== is.get(name) && !(parts && name === ''))
    .map((name) => ({ name, before: was.get(name) ?? NOTHING, after: is.get(name) ?? NOTHING }))
}

/** What was asked for, without what stands in columns of its own. */
function asked(request: unknown, known: (string | null | undefined)[]): Line[] {
  return [...flat(request)]
    .filter(([name, value]) => value !== NOTHING && !(!name.includes('.') && known.includes(value)))
    .map(([name, value]) => ({ name, after: value }))
}

const NOTHING = 'nothing'

/** Each value by its name; lists of plain values are one. */
function flat(value: unknown, name = ''): Map<string, string> {
  const found = new Map<string, string>()
  const parts = Array.isArray(value) && value.some(isObject) ? { ...value } : value
  if (!isObject(parts)) {
    if (value !== undefined) found.set(name, word(value))
    return found
  }
  for (const [key, part] of Object.entries(parts)) {
    // Lists are counted from 1.
    const called = Array.isArray(value) ? String(Number(key) + 1) : key
    for (const [path, text] of flat(part, name === '' ? called : `${name}.${called}`)) found.set(path, text)
  }
  return found
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function word(value: unknown): string {
  if (value === null || value === undefined) return NOTHING
  if (Array.isArray(value)) return value.length === 0 ? NOTHING : value.map(word).join(', ')
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'string') return value === '' ? 'empty' : value
  return typeof value === 'number' ? String(value) : JSON.stringify(value)
}

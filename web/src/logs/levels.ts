// How bad a line is, as far as its words tell. Pure.

export type Level = 'error' | 'warning' | 'other'

/** Only there are words about the line itself; what comes later is told by it. */
const LOOKED_AT = 400
/** That there is none; and the number that some programs put behind a reason, which is no word of how bad it is. */
const NONE = /\b(?:0|no|zero|without) (?:errors?|warnings?|fail(?:ures?|ed)|panics?)\b|\b(?:errors?|warnings?|failures?|failed)\b\s*[:=]\s*0\b|\(os error -?\d+\)/gi
const ERROR = /\b(?:errors?|fatal|panic(?:ked)?|critical|exception|traceback|fail(?:ed|ure)|segfault)\b|\berr!/i
/** `TypeError`, `NullPointerException`. */
const NAMED = /\b[A-Z]\w*(?:Error|Exception)\b/
const WARNING = /\b(?:warn|warning|warnings|deprecated)\b/i

export function levelOf(text: string): Level {
  const words = text.slice(0, LOOKED_AT).replaceAll(NONE, '')
  if (ERROR.test(words) || NAMED.test(words)) return 'error'
  return WARNING.test(words) ? 'warning' : 'other'
}

/** What somebody wants to see. */
export type Wanted = 'all' | 'warnings' | 'errors'

export function isWanted(text: string, wanted: Wanted): boolean {
  if (wanted === 'all') return true
  const level = levelOf(text)
  return level === 'error' || (wanted === 'warnings' && level === 'warning')
}

// Lengths of time as the API writes them, in words. Pure.

const UNITS: Record<string, string> = { s: 'second', m: 'minute', h: 'hour', d: 'day', w: 'week', y: 'year' }

/** `14d` as `14 days`, `1m 30s` as `1 minute 30 seconds`; what it is not, as it is. */
export function spanInWords(text: string): string {
  if (text === 'forever') return 'for ever'
  const parts = text.split(' ').map((part) => {
    const [, count = '', unit = ''] = /^(\d+)([smhdwy])$/.exec(part) ?? []
    return count === '' ? undefined : `${count} ${UNITS[unit]}${count === '1' ? '' : 's'}`
  })
  return parts.includes(undefined) ? text : parts.join(' ')
}

/** The usual choices, and what is chosen where it is none of them. */
export const withChosen = (usual: string[], chosen: string): string[] => (chosen === '' || usual.includes(chosen) ? usual : [chosen, ...usual])

// Cron expressions with a time zone: from a form, and into words. Pure. The server alone says what one means.

export type Every = 'hour' | 'day' | 'weekday' | 'week' | 'month' | 'other'

export interface Rhythm {
  every: Every
  /** `06:30`; of an hour only its minutes count. */
  time: string
  /** Of a week: `MON` to `SUN`. */
  day: string
  /** Of a month: 1 to 28. */
  date: number
  zone: string
  /** The five fields, when none of the others fits. */
  fields: string
}

export const DAYS: [string, string][] = [
  ['MON', 'Monday'],
  ['TUE', 'Tuesday'],
  ['WED', 'Wednesday'],
  ['THU', 'Thursday'],
  ['FRI', 'Friday'],
  ['SAT', 'Saturday'],
  ['SUN', 'Sunday'],
]

export function written({ every, time, day, date, zone, fields }: Rhythm): string {
  const [hour = 0, minute = 0] = time.split(':').map(Number)
  const five = {
    hour: `${minute} * * * *`,
    day: `${minute} ${hour} * * *`,
    weekday: `${minute} ${hour} * * MON-FRI`,
    week: `${minute} ${hour} * * ${day}`,
    month: `${minute} ${hour} ${date} * *`,
    other: fields.trim().replaceAll(/\s+/g, ' '),
  }[every]
  return `${five} ${zone}`
}

/** The expression of a form that is filled in; nothing while something is missing. */
export function whole(rhythm: Rhythm): string | undefined {
  const missing = rhythm.every === 'other' ? rhythm.fields.trim().split(/\s+/).length !== 5 : rhythm.time === ''
  return missing ? undefined : written(rhythm)
}

/** The form of an expression; `other` for what the form has no words for. */
export function read(cron: string, zone: string): Rhythm {
  const parts = cron.trim().split(/\s+/)
  const [minute = '', hour = '', date = '', month = '', day = ''] = parts
  const rhythm: Rhythm = { every: 'other', time: '06:00', day: 'MON', date: 1, zone: parts[5] ?? zone, fields: parts.slice(0, 5).join(' ') }
  const number = (text: string, most: number) => (/^\d{1,2}$/.test(text) && Number(text) <= most ? Number(text) : undefined)
  const minutes = number(minute, 59)
  if (minutes === undefined || month !== '*') return rhythm
  const at = (hours: number) => `${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}`
  if (hour === '*') return date === '*' && day === '*' ? { ...rhythm, every: 'hour', time: at(0) } : rhythm
  const hours = number(hour, 23)
  if (hours === undefined) return rhythm
  const timed = { ...rhythm, time: at(hours) }
  const weekday = day.toUpperCase()
  if (date === '*' && day === '*') return { ...timed, every: 'day' }
  if (date === '*' && weekday === 'MON-FRI') return { ...timed, every: 'weekday' }
  if (date === '*' && DAYS.some(([name]) => name === weekday)) return { ...timed, every: 'week', day: weekday }
  const of = number(date, 28)
  return day === '*' && of !== undefined && of > 0 ? { ...timed, every: 'month', date: of } : rhythm
}

/** An expression for people, without its zone. */
export function inWords(cron: string): string {
  const rhythm = read(cron, 'UTC')
  const { every, time, day, date, fields } = rhythm
  switch (every) {
    case 'hour':
      return time === '00:00' ? 'Every hour' : `Every hour at minute ${Number(time.slice(3))}`
    case 'day':
      return `Every day at ${time}`
    case 'weekday':
      return `Monday to Friday at ${time}`
    case 'week':
      return `Every ${DAYS.find(([name]) => name === day)?.[1] ?? day} at ${time}`
    case 'month':
      return `On day ${date} of each month at ${time}`
    case 'other':
      return fields
  }
}

export const zoneOf = (cron: string) => cron.trim().split(/\s+/)[5] ?? 'UTC'

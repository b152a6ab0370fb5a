import { describe, expect, it } from 'vitest'
import { inWords, read, whole, written } from '@/features/schedules/cron'
import { daysInWords, daysWritten } from '@/features/windows/words'
import { meant, wrong } from '@/ui/instant-field'
import { instants, wall } from '@/ui/zones'

describe('a time of day in a zone', () => {
  it('is one instant as a rule', () => {
    expect(instants('2026-11-21T19:53', 'Europe/Berlin')).toEqual(['2026-11-21T18:53:00.000Z'])
    expect(instants('2026-07-01T00:00', 'Asia/Kolkata')).toEqual(['2026-06-30T18:30:00.000Z'])
    expect(wall(Date.parse('2026-11-21T18:53:20Z'), 'Europe/Berlin')).toBe('2026-11-21T19:53')
  })
  it('is two where clocks are put back, and none where they are put forward', () => {
    expect(instants('2026-10-25T02:30', 'Europe/Berlin')).toEqual(['2026-10-25T00:30:00.000Z', '2026-10-25T01:30:00.000Z'])
    expect(instants('2026-03-29T02:30', 'Europe/Berlin')).toEqual([])
    // Half an hour, in Lord Howe.
    expect(instants('2026-10-04T02:15', 'Australia/Lord_Howe')).toEqual([])
  })
  it('is none when it is no time', () => {
    expect([instants('', 'UTC'), instants('tomorrow', 'UTC'), instants('2026-13-01T00:00', 'UTC')]).toEqual([[], [], []])
  })
  it('is asked for again when it is past, or never comes', () => {
    const now = Date.parse('2026-03-01T00:00:00Z')
    const at = (local: string, later = false) => ({ local, zone: 'Europe/Berlin', later })
    expect(wrong(at(''), now)).toBeUndefined()
    expect(wrong(at('2026-02-01T10:00'), now)).toBe('A time that is still to come')
    expect(wrong(at('2026-03-29T02:30'), now)).toMatch(/put forward/)
    expect(wrong(at('2026-10-25T02:30'), now)).toBeUndefined()
    expect(meant(at('2026-10-25T02:30', true))).toBe('2026-10-25T01:30:00.000Z')
  })
})

describe('a cron expression', () => {
  it.each([
    ['0 * * * * UTC', 'Every hour'],
    ['30 6 * * * Europe/London', 'Every day at 06:30'],
    ['0 6 * * MON-FRI Europe/London', 'Monday to Friday at 06:00'],
    ['5 22 * * sun UTC', 'Every Sunday at 22:05'],
    ['0 3 1 * * UTC', 'On day 1 of each month at 03:00'],
    ['*/5 * * * * UTC', '*/5 * * * *'],
    ['0 6 31 * * UTC', '0 6 31 * *'],
    ['0 6 * 1 * UTC', '0 6 * 1 *'],
  ])('%s', (cron, words) => {
    expect(inWords(cron)).toBe(words)
    // The form and back says the same.
    expect(written(read(cron, 'UTC')).toUpperCase()).toBe(cron.toUpperCase())
  })
  it('is whole when nothing is missing', () => {
    const rhythm = read('0 6 * * * UTC', 'UTC')
    expect([whole(rhythm), whole({ ...rhythm, time: '' })]).toEqual(['0 6 * * * UTC', undefined])
    const typed = { ...rhythm, every: 'other' as const }
    expect([whole({ ...typed, fields: ' */5 *  * * MON ' }), whole({ ...typed, fields: '*/5 * * *' })]).toEqual(['*/5 * * * MON UTC', undefined])
  })
  it('has the zone that it names, else the reader’s', () => {
    expect([read('0 6 * * * Asia/Tokyo', 'UTC').zone, read('0 6 * * *', 'Europe/Berlin').zone]).toEqual(['Asia/Tokyo', 'Europe/Berlin'])
  })
})

it('days of the week are written in their order', () => {
  expect(daysWritten(['fri', 'mon'])).toBe('mon,fri')
  expect(daysWritten(['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'])).toBe('daily')
  expect([daysInWords('daily'), daysInWords('mon-fri,sun')]).toEqual(['Every day', 'Mon to Fri, Sun'])
})

import { expect, it } from 'vitest'
import { bytes, duration, exact, percent, plural, relative, short } from '@/ui/format'

it.each([
  [0, '0 ms'],
  [850.4, '850 ms'],
  [4200, '4.2 s'],
  [59_900, '59 s'],
  [185_000, '3 m 05 s'],
  [7_800_000, '2 h 10 m'],
  [273_600_000, '3 d 4 h'],
])('a duration of %d is %s', (ms, text) => expect(duration(ms)).toBe(text))

it.each([
  [-2000, 'just now'],
  [-12_000, '12 s ago'],
  [-300_000, '5 min ago'],
  [7_200_000, 'in 2 h'],
  [-86_400_000, '1 day ago'],
  [-86_400_000 * 70, '2 months ago'],
])('%d ms from now is %s', (offset, text) => expect(relative(1e12 + offset, 1e12)).toBe(text))

it('an instant has its zone', () => {
  expect(exact('2026-11-21T19:53:02Z', 'UTC')).toBe('21 Nov 2026, 19:53:02 UTC')
  expect(exact('2026-11-21T19:53:02Z', 'Asia/Kolkata')).toContain('01:23:02')
})

it('numbers are short and true', () => {
  expect([short(999), short(1234), short(56_789), short(3_400_000)]).toEqual(['999', '1.2 k', '57 k', '3.4 M'])
  expect([bytes(512), bytes(1536), bytes(5 * 1024 ** 3)]).toEqual(['512 B', '1.5 KiB', '5.0 GiB'])
  expect([percent(0), percent(0.004), percent(0.123), percent(1)]).toEqual(['0 %', '0.4 %', '12 %', '100 %'])
  expect([plural(1, 'line'), plural(1200, 'line')]).toEqual(['1 line', '1,200 lines'])
})

import { render, screen, within } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { expect, it } from 'vitest'
import type { FiguresDay } from '@/api/schema'
import { ByDay } from '@/features/figures/by-day'
import { searchOf } from '@/features/figures/search'
import { SERIES, busy } from '@/features/figures/series'

function day(at: string, active: number, failed = 0): FiguresDay {
  const total = active + failed
  return {
    at: `2026-11-${at}T00:00:00Z`,
    changes: { total, active, failed, rolled_back: 0, cancelled: 0, superseded: 0 },
    dora: {
      deployments: active,
      deployments_per_day: active,
      lead_time: { count: active, p50_ms: active > 0 ? 90_000 : undefined },
      failed_changes: 0,
      change_failure_rate: active > 0 ? 0 : undefined,
      time_to_restore: { count: 0 },
    },
  }
}
const days = [day('19', 2), day('20', 0), day('21', 1, 1)]

it('of a day only what was measured has a value', () => {
  const values = (of: FiguresDay) => SERIES.map((series) => series.of(of))
  expect(values(day('19', 2))).toEqual([2, 90_000, 0, undefined])
  expect(values(day('20', 0))).toEqual([0, undefined, undefined, undefined])
  expect(busy(days).map(({ at }) => at)).toEqual(['2026-11-21T00:00:00Z', '2026-11-19T00:00:00Z'])
})

it('the table says what the charts show', async () => {
  const { container } = render(<ByDay days={days} />)
  const bars = [...container.querySelectorAll('svg')].map((svg) => [...svg.querySelectorAll('title')].map((title) => title.textContent))
  expect(bars[0]).toEqual(['19 Nov: 2', '20 Nov: 0', '21 Nov: 1'])
  expect(bars[1]).toEqual(['19 Nov: 1 m 30 s', '21 Nov: 1 m 30 s'])
  const table = screen.getByRole('table', { name: /each day/i })
  const first = within(table).getAllByRole('row')[1]
  expect(first?.textContent).toContain('21 Nov')
  expect(first?.textContent).toContain('1 m 30 s')
  const toggle = screen.getByRole('button', { name: 'As a table' })
  await userEvent.click(toggle)
  expect(screen.getByRole('button', { name: 'As charts' }).getAttribute('aria-pressed')).toBe('true')
})

it('the address says whose figures, and nothing that means nothing', () => {
  expect(searchOf({ app: 'shop', environment: 'production', since: '7d' })).toEqual({ app: 'shop', environment: 'production', since: '7d' })
  expect(searchOf({ environment: 'production', since: '30d' })).toEqual({})
  expect(searchOf({ app: 'shop', since: '12y', more: 'x' })).toEqual({ app: 'shop' })
})

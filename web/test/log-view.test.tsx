import { render, screen } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { LogStore } from '@/logs/store'
import { LogView } from '@/logs/log-view'

beforeEach(() => {
  vi.stubGlobal('ResizeObserver', class { observe() {} disconnect() {} })
  location.hash = '#L1'
})
afterEach(() => {
  vi.unstubAllGlobals()
  location.hash = ''
})

it('asks once for earlier lines that are wanted, and again when somebody says so', async () => {
  const store = new LogStore()
  store.append({ seq: 500, at: '2026-11-21T20:00:00Z', source: 'building', stream: 'stdout', text: 'knot' })
  const load = vi.fn<() => void>()
  const view = (failed: boolean, loading = false) => (
    <LogView store={store} state="complete" label="Output" empty="" before={{ count: 499, loading, failed, load }} />
  )
  const { rerender } = render(view(false))
  expect(load).toHaveBeenCalledOnce()
  rerender(view(false, true))
  rerender(view(true))
  expect(load).toHaveBeenCalledOnce()
  await userEvent.click(screen.getByRole('button', { name: 'Not loaded. Try again: 499 earlier lines' }))
  expect(load).toHaveBeenCalledTimes(2)
})

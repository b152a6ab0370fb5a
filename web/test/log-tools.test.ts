import { beforeEach, describe, expect, it, vi } from 'vitest'
import { isWanted, levelOf } from '@/logs/levels'
import { Scan, firstAt } from '@/logs/scan'
import { LogStore } from '@/logs/store'
import { Wrapped, rowsOf } from '@/logs/wrap'

describe('levels', () => {
  it.each([
    ['src/main.rs:3: error[E0308]: mismatched types', 'error'],
    ['TypeError: x is not a function', 'error'],
    ["thread 'main' panicked at src/lib.rs:1", 'error'],
    ['npm ERR! missing script', 'error'],
    ['2 tests failed', 'error'],
    ['warning: unused variable', 'warning'],
    ['npm WARN deprecated left-pad', 'warning'],
    ['0 errors, 0 warnings', 'other'],
    ['errors: 0', 'other'],
    ['no errors, 2 warnings', 'warning'],
    ['no answer yet: Connection refused (os error 111)', 'other'],
    ['error: Connection refused (os error 111)', 'error'],
    ['terror on the high seas', 'other'],
    ['', 'other'],
  ] as const)('%s', (text, level) => {
    expect(levelOf(text)).toBe(level)
  })
  it('who wants warnings wants errors, too', () => {
    expect([isWanted('error', 'warnings'), isWanted('warning', 'errors'), isWanted('knot', 'all')]).toEqual([true, false, true])
  })
})

describe('a scan', () => {
  beforeEach(() => {
    vi.useFakeTimers()
    vi.stubGlobal('requestAnimationFrame', (run: () => void) => setTimeout(run, 16))
    return () => vi.useRealTimers()
  })
  const line = (seq: number) => ({ seq, text: `\u001b[32mknot\u001b[0m ${seq}`, at: '2026-11-21T20:00:00Z', source: 'build', stream: 'stdout' as const })

  it('finds what is there and what comes, by the text that is read', () => {
    const store = new LogStore()
    for (let seq = 1; seq <= 12_000; seq += 1) store.append(line(seq))
    const scan = new Scan(store, (text) => text.endsWith('knot 9999') || text.endsWith('knot 12500'))
    const listener = vi.fn<() => void>()
    const leave = scan.subscribe(listener)
    vi.advanceTimersByTime(1000)
    expect(scan.snapshot()).toMatchObject({ lines: [9998], count: 1, complete: true })
    for (let seq = 12_001; seq <= 13_000; seq += 1) store.append(line(seq))
    vi.advanceTimersByTime(1000)
    expect(scan.snapshot()).toMatchObject({ lines: [9998, 12_499], count: 2 })
    expect(scan.line(1)).toBe(12_499)
    leave()
    store.append({ ...line(13_001), text: 'knot 12500' })
    vi.advanceTimersByTime(1000)
    expect(scan.snapshot().count).toBe(2)
  })

  it('is searched from both ends', () => {
    expect([firstAt([2, 4, 6], 3, 1), firstAt([2, 4, 6], 3, 4), firstAt([2, 4, 6], 3, 7), firstAt([], 0, 1)]).toEqual([0, 1, 3, 0])
  })
})

describe('wrapped lines', () => {
  it('take as many rows as their letters need', () => {
    expect([rowsOf('', 10), rowsOf('a'.repeat(10), 10), rowsOf('a'.repeat(11), 10), rowsOf('a'.repeat(95), 10)]).toEqual([1, 1, 2, 10])
    expect(rowsOf('港'.repeat(9), 10)).toBe(2)
    expect(rowsOf('héllo', 5)).toBe(1)
  })
  it('are found by row and by line', () => {
    const lengths = [5, 25, 0, 10, 11]
    const wrapped = new Wrapped(10, (at) => 'a'.repeat(lengths[at] ?? 0))
    expect([0, 1, 2, 3, 4, 5].map((at) => wrapped.before(at))).toEqual([0, 1, 4, 5, 6, 8])
    expect([0, 1, 3, 4, 5, 6, 7, 8].map((row) => wrapped.lineAt(row, 5))).toEqual([0, 1, 1, 2, 3, 4, 4, 5])
  })
  it('grow beyond what was made room for', () => {
    const wrapped = new Wrapped(10, () => 'a'.repeat(20))
    expect(wrapped.before(5000)).toBe(10_000)
    expect(wrapped.lineAt(9999, 5000)).toBe(4999)
  })
})

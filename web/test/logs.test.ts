import { beforeEach, describe, expect, it, vi } from 'vitest'
import { parts, plain } from '@/logs/ansi'
import { lineOf } from '@/logs/log-view'
import { LogStore } from '@/logs/store'
import { upTo } from '@/logs/use-output'

const line = (seq: number, text = `line ${seq}`) => ({ seq, text, at: '2026-11-21T20:00:00Z', source: 'build', stream: 'stdout' as const })

describe('a store', () => {
  beforeEach(() => {
    vi.stubGlobal('requestAnimationFrame', (run: () => void) => setTimeout(run, 16))
  })

  it('takes each line once, whatever comes twice', () => {
    const store = new LogStore()
    for (const seq of [1, 2, 3, 2, 3, 4]) store.append(line(seq))
    expect([0, 1, 2, 3, 4].map((index) => store.line(index)?.number)).toEqual([1, 2, 3, 4, undefined])
    expect(store.last).toBe(4)
  })

  it('finds lines by number across chunks, also where numbers have gaps', () => {
    const store = new LogStore()
    for (let seq = 100; seq < 60_100; seq += 2) store.append(line(seq))
    expect(store.find(100)).toBe(0)
    expect(store.find(40_101)).toBe(20_001)
    expect(store.line(store.find(50_000))?.text).toBe('line 50000')
    expect(store.find(99_999)).toBe(30_000)
  })

  const batch = (from: number, count: number) => ({
    dep: 'dep_1',
    from,
    at: Array.from({ length: count }, (_, index) => from + index),
    src: [{ source: 'build', stream: 'stdout' as const, count }],
    lines: Array.from({ length: count }, (_, index) => `line ${from + index}`),
  })

  it('takes batches, of which some of the lines may have come already', () => {
    const store = new LogStore()
    store.appendOutput(batch(5, 4))
    store.appendOutput(batch(7, 4))
    expect([store.count, store.first, store.last, store.line(4)?.text]).toEqual([6, 5, 10, 'line 9'])
  })

  it('gets what came before in front of what it has, with its numbers', () => {
    const store = new LogStore()
    store.appendOutput(batch(12_001, 3))
    const older = new LogStore()
    older.appendOutput(upTo(batch(1, 20_000), 12_001))
    expect(older.last).toBe(12_000)
    store.prepend(older)
    expect([store.count, store.first, store.last, store.era]).toEqual([12_003, 1, 12_003, 1])
    expect([store.line(0)?.text, store.line(11_999)?.text, store.line(12_002)?.text]).toEqual(['line 1', 'line 12000', 'line 12003'])
    store.appendOutput(batch(12_004, 1))
    expect(store.line(store.find(12_004))?.number).toBe(12_004)
  })

  it('numbers lines of several sources as they come, each once', () => {
    const store = new LogStore()
    const logs = (source: string, seq: number[]) => ({
      env: 'shop/production',
      seq,
      at: seq,
      src: [{ source, stream: 'stdout' as const, count: seq.length }],
      lines: seq.map((n) => `${source} ${n}`),
    })
    store.appendLogs(logs('web-1', [41, 42]))
    store.appendLogs(logs('web-2', [1, 2]))
    store.appendLogs(logs('web-1', [42, 43]))
    expect([0, 1, 2, 3, 4].map((index) => store.line(index)?.text)).toEqual(['web-1 41', 'web-1 42', 'web-2 1', 'web-2 2', 'web-1 43'])
    expect(store.find(4)).toBe(3)
  })

  it('keeps the lines of a new release, whose instance has the name of the old one and a log that begins at 1', () => {
    const store = new LogStore()
    const logs = (log: string, seq: number[]) => ({
      env: 'shop/production',
      seq,
      at: seq,
      src: [{ source: 'web.0', log, stream: 'stdout' as const, count: seq.length }],
      lines: seq.map((n) => `${log} ${n}`),
    })
    store.appendOf({ ...line(40, 'old 40'), source: 'web.0', log: 'old' })
    store.appendLogs(logs('old', [40, 41]))
    store.appendLogs(logs('new', [1, 2]))
    store.appendLogs(logs('new', [2, 3]))
    store.appendLogs(logs('old', [42]))
    expect([0, 1, 2, 3, 4, 5, 6].map((index) => store.line(index)?.text)).toEqual(['old 40', 'old 41', 'new 1', 'new 2', 'new 3', 'old 42', undefined])
    expect(store.sources).toBe(1)
  })

  it('keeps as many lines as it may, and says how many of the first went', () => {
    const store = new LogStore(20_000)
    const many = (from: number, count: number) => {
      for (let seq = from; seq < from + count; seq += 1) store.appendOf({ ...line(seq), log: 'web' })
    }
    many(1, 20_000)
    expect([store.count, store.gone, store.era]).toEqual([20_000, 0, 0])
    many(20_001, 1)
    expect([store.count, store.gone, store.era, store.first, store.last]).toEqual([10_001, 10_000, 1, 10_001, 20_001])
    expect([store.line(0)?.text, store.text(10_000), store.find(10_002)]).toEqual(['line 10001', 'line 20001', 1])
    many(20_002, 50_000)
    expect(store.count).toBeLessThanOrEqual(20_000)
    expect(store.count + store.gone).toBe(70_001)
    // What comes again is known, though it is gone.
    many(5, 1)
    expect(store.last).toBe(70_001)
  })

  it('publishes once a frame, however much has come', () => {
    vi.useFakeTimers()
    const store = new LogStore()
    const listener = vi.fn<() => void>()
    store.subscribe(listener)
    for (let seq = 1; seq <= 5000; seq += 1) store.append(line(seq))
    expect(listener).not.toHaveBeenCalled()
    vi.advanceTimersByTime(20)
    expect(listener).toHaveBeenCalledTimes(1)
    expect(store.snapshot().count).toBe(5000)
    vi.useRealTimers()
  })
})

describe('what programs print', () => {
  it('has its colours, and loses its other sequences', () => {
    expect(parts('\u001b[1;32mok\u001b[0m done\u001b[K')).toEqual([{ text: 'ok', bold: true, colour: 2 }, { text: ' done' }])
    expect(parts('\u001b[38;5;9mred\u001b[39m \u001b[38;2;1;2;3mtrue\u001b]0;title\u0007')).toEqual([
      { text: 'red', colour: 1 },
      { text: ' ' },
      { text: 'true' },
    ])
  })
  it('ends up as a terminal would show it', () => {
    expect(plain('10 %\r50 %\r100 %')).toBe('100 %')
    expect(plain('done\r')).toBe('done')
  })
  it('cannot pretend to be another text', () => {
    expect(plain('a\u202Eb\u0000')).toBe('a‹202e›b␀')
    expect(plain('<script>alert(1)</script>')).toBe('<script>alert(1)</script>')
  })
})

it('an address names a line', () => {
  expect([lineOf('#L120'), lineOf('#L'), lineOf('#L1x'), lineOf('')]).toEqual([120, undefined, undefined, undefined])
})

import { render, screen } from '@testing-library/react'
import { describe, expect, it } from 'vitest'
import { linesOf } from '@/features/audit/lines'
import { exportPath, fieldOf, instantOf, isFiltered, searchOf } from '@/features/audit/search'
import { Answer } from '@/features/audit/verify'

describe('what a record tells', () => {
  const told = (detail: Record<string, unknown>, more: { app?: string; target?: string } = {}) =>
    linesOf({ detail, ...more }).map(({ name, before, after }) => `${name}: ${before === undefined ? '' : `${before} → `}${after}`)

  it('is what changed, and not what stayed', () => {
    expect(told({ request: { limit: 3 }, before: 2, after: 3 })).toEqual([': 2 → 3'])
    expect(
      told({
        before: { kind: 'git', url: 'https://old', reference: 'main' },
        after: { kind: 'git', url: 'https://new', reference: null },
      }),
    ).toEqual(['url: https://old → https://new', 'reference: main → nothing'])
  })

  it('is all of a thing that comes or goes', () => {
    expect(told({ before: null, after: { kind: 'git', url: 'https://new' } })).toEqual(['kind: nothing → git', 'url: nothing → https://new'])
    expect(told({ before: 'viewer', after: null })).toEqual([': viewer → nothing'])
  })

  it('is what was asked for where nothing is known of before', () => {
    const request = { app: 'shop', name: 'ci', read_only: false, expires_in: null, grants: [{ app: 'shop', role: 'viewer' }], tags: ['a', 'b'] }
    expect(told({ request }, { app: 'shop' })).toEqual([
      'name: ci',
      'read_only: no',
      'grants.1.app: shop',
      'grants.1.role: viewer',
      'tags: a, b',
    ])
  })

  it('is why it was refused, and how often', () => {
    expect(told({ error: { code: 'forbidden', detail: 'this needs the role owner' }, times: 4 })).toEqual([
      'because: this needs the role owner',
      'times: 4',
    ])
    expect(told({ error: { code: 'forbidden', detail: 'no' }, times: 1 })).toEqual(['because: no'])
    expect(told({})).toEqual([])
  })

  it('is said of texts that were cut, too', () => expect(told({ left_out: '9000 bytes' })).toEqual(['left_out: 9000 bytes']))
})

describe('the filter in the address', () => {
  it('keeps what means something', () => {
    expect(searchOf({ actor: 'usr_1', outcome: 'refused', since: '2026-11-21T10:00:00Z', cursor: 12, app: '' })).toEqual({
      actor: 'usr_1',
      outcome: 'refused',
      since: '2026-11-21T10:00:00.000Z',
      cursor: '12',
    })
    expect(searchOf({ outcome: 'perhaps', until: 'tomorrow', operation: ['a'] })).toEqual({})
  })

  it('is the export’s, but for the page', () => {
    expect(exportPath({ cursor: '12' })).toBe('/api/v1/audit/export')
    expect(exportPath({ app: 'shop', since: '2026-11-21T10:00:00.000Z', cursor: '12' })).toBe(
      '/api/v1/audit/export?app=shop&since=2026-11-21T10%3A00%3A00.000Z',
    )
    expect([isFiltered({ cursor: '12' }), isFiltered({ app: 'shop' })]).toEqual([false, true])
  })

  it('is a time of the reader’s own day in its field', () => {
    const at = '2026-11-21T10:07:00.000Z'
    expect([fieldOf(at, 'Asia/Tokyo'), fieldOf(at, 'America/New_York')]).toEqual(['2026-11-21T19:07', '2026-11-21T05:07'])
    expect(instantOf(fieldOf(at, 'Asia/Tokyo'), 'Asia/Tokyo')).toBe(at)
    expect([fieldOf(undefined, 'UTC'), instantOf('', 'UTC')]).toEqual(['', undefined])
  })
})

describe('the answer of the verification', () => {
  it('is how far the log is sound, and what to keep', () => {
    render(<Answer found={{ sound: true, records: 1200, unchecked: 0, anchor: '1200:abcdef' }} />)
    expect(screen.getByText('The log is sound up to record 1,200')).toBeVisible()
    expect(screen.getByLabelText('Number and hash of the last record')).toHaveTextContent('1200:abcdef')
  })

  it('is the first record that is not as it was written', () => {
    render(<Answer found={{ sound: false, records: 6, unchecked: 0, fault: { seq: 7, what: 'record 7 was altered: its hash is another one' } }} />)
    expect(screen.getByText('Record 7 is not as it was written')).toBeVisible()
    expect(screen.getByText('Record 7 was altered: its hash is another one.')).toBeVisible()
    expect(screen.getByText(/The records up to 6 are sound/)).toBeVisible()
  })

  it('says what could not be looked at', () => {
    render(<Answer found={{ sound: true, records: 9, unchecked: 1 }} />)
    expect(screen.getByText(/1 record was sealed with another key file/)).toBeVisible()
  })
})

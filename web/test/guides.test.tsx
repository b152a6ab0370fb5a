import type { ReactNode } from 'react'
import { render, screen, within } from '@testing-library/react'
import { expect, it, vi } from 'vitest'
import type { GuideBlock } from '@/api/schema'
import { target, tree } from '@/features/guides/blocks'
import { Text } from '@/features/guides/text'

vi.mock('@tanstack/react-router', async (actual) => ({
  ...(await actual<typeof import('@tanstack/react-router')>()),
  Link: ({ params, hash, children }: { params: { page: string }; hash?: string; children: ReactNode }) => (
    <a href={`/guides/${params.page}#${hash}`}>{children}</a>
  ),
}))

const words = (text: string) => [{ text }]
const blocks: GuideBlock[] = [
  { kind: 'text', depth: 0, spans: words('First') },
  { kind: 'item', depth: 1, spans: words('a') },
  { kind: 'text', depth: 1, spans: words('more of a') },
  { kind: 'item', depth: 2, spans: words('a 1') },
  { kind: 'code', depth: 2, text: 'plimsoll deploy' },
  { kind: 'item', depth: 1, spans: words('b') },
  { kind: 'item', depth: 1, number: 3, spans: words('three') },
  { kind: 'item', depth: 1, number: 4, spans: words('four') },
  { kind: 'text', depth: 0, spans: words('Last') },
]

it('lists come back as they were: what stands deeper is part of the item before it', () => {
  const nodes = tree(blocks)
  expect(nodes.map((node) => (node.kind === 'list' ? node.items.length : node.block.kind))).toEqual(['text', 2, 2, 'text'])
  const [, first, second] = nodes
  if (first?.kind !== 'list' || second?.kind !== 'list') throw new Error('no lists')
  expect([first.start, second.start]).toEqual([undefined, 3])
  const below = first.items[0]?.below ?? []
  expect(below.map((node) => (node.kind === 'list' ? node.items.length : node.block.kind))).toEqual(['text', 1])
  const inner = below[1]
  expect(inner?.kind === 'list' && inner.items[0]?.below).toHaveLength(1)
})

it('only what is known is a link', () => {
  expect(target('/guides/runbook#tokens')).toEqual({ page: 'runbook', section: 'tokens' })
  expect(target('/guides/runbook')).toEqual({ page: 'runbook', section: undefined })
  expect(target('https://dora.dev')).toEqual({ href: 'https://dora.dev' })
  expect(target('/openapi.json')).toEqual({ href: '/openapi.json' })
  for (const other of ['javascript:alert(1)', '//evil.example', 'http://evil.example', '/api/v1/apps', 'data:text/html,x']) {
    expect(target(other)).toBeUndefined()
  }
})

it('what a guide says is text, whatever it looks like', () => {
  const hostile: GuideBlock[] = [
    { kind: 'text', depth: 0, spans: [{ text: '<img src=x onerror=alert(1)>' }, { text: 'here', link: 'javascript:alert(1)' }, { text: 'tokens', link: '/guides/runbook#tokens' }] },
    { kind: 'table', head: [words('key'), words('value')], rows: [[words('<b>'), [{ text: 'A=b', code: true }]]] },
  ]
  const { container } = render(<Text blocks={hostile} />)
  expect(container.querySelector('img, b')).toBeNull()
  expect(screen.getAllByRole('link').map((link) => link.getAttribute('href'))).toEqual(['/guides/runbook#tokens'])
  expect(within(screen.getByRole('table')).getByText('A=b').tagName).toBe('CODE')
})

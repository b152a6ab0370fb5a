import { Link } from '@tanstack/react-router'
import type { GuideBlock, GuideSpan } from '@/api/schema'
import { to } from '@/paths'
import { cn } from '@/ui/cn'
import { Code } from '@/ui/code'
import { type Node, target, tree } from './blocks'

/** The text of a section. All of it is text: a guide can't bring elements of its own. */
export const Text = ({ blocks }: { blocks: readonly GuideBlock[] }) => <Nodes nodes={tree(blocks)} />

function Nodes({ nodes }: { nodes: Node[] }) {
  return nodes.map((node, index) =>
    // A guide never changes its order.
    // oxlint-disable-next-line react/no-array-index-key
    node.kind === 'list' ? <List key={index} list={node} /> : <Block key={index} block={node.block} />,
  )
}

function List({ list }: { list: Extract<Node, { kind: 'list' }> }) {
  const items = list.items.map(({ spans, below }, index) => (
    // oxlint-disable-next-line react/no-array-index-key
    <li key={index} className="pl-1">
      <Spans spans={spans} />
      {below.length > 0 ? (
        <div className="mt-1.5 flex flex-col gap-2">
          <Nodes nodes={below} />
        </div>
      ) : null}
    </li>
  ))
  const look = 'ml-5 flex max-w-prose list-outside flex-col gap-1.5'
  return list.start === undefined ? (
    <ul className={cn(look, 'list-disc')}>{items}</ul>
  ) : (
    <ol start={list.start} className={cn(look, 'list-decimal')}>
      {items}
    </ol>
  )
}

function Block({ block }: { block: Extract<Node, { kind: 'block' }>['block'] }) {
  switch (block.kind) {
    case 'text':
      return (
        <p className="max-w-prose">
          <Spans spans={block.spans} />
        </p>
      )
    case 'code':
      return (
        // What is wider than the page must be reachable with the keyboard.
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <pre tabIndex={0} aria-label="Code" className="overflow-x-auto rounded-md border border-line bg-sunken px-3 py-2 text-sm">
          {block.text}
        </pre>
      )
    case 'table':
      return (
        // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
        <div tabIndex={0} role="group" aria-label="Table" className="overflow-x-auto rounded-md border border-line">
          <table className="w-full border-collapse text-left">
            <thead>
              <tr>
                {block.head.map((cell, index) => (
                  // oxlint-disable-next-line react/no-array-index-key
                  <th key={index} scope="col" className="border-b border-line px-3 py-2 text-xs font-medium text-muted">
                    <Spans spans={cell} />
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {block.rows.map((row, index) => (
                // oxlint-disable-next-line react/no-array-index-key
                <tr key={index} className="border-b border-line last:border-b-0">
                  {row.map((cell, column) => (
                    // oxlint-disable-next-line react/no-array-index-key
                    <td key={column} className="min-w-32 px-3 py-2 align-top">
                      <Spans spans={cell} />
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )
  }
}

function Spans({ spans }: { spans: readonly GuideSpan[] }) {
  return spans.map((span, index) => (
    // oxlint-disable-next-line react/no-array-index-key
    <Span key={index} span={span} />
  ))
}

function Span({ span }: { span: GuideSpan }) {
  const words = span.code ? <Code>{span.text}</Code> : span.text
  const look = cn(span.strong && 'font-semibold', span.emphasis && 'italic')
  const leads = span.link == null ? undefined : target(span.link)
  if (leads === undefined) return look === '' ? words : <span className={look}>{words}</span>
  // A line under it: in a text a colour alone tells not everybody that it is a link.
  const link = cn('text-accent underline underline-offset-2 hover:text-accent-strong', look)
  if ('page' in leads) {
    return (
      <Link {...to.guide(leads.page, leads.section)} className={link}>
        {words}
      </Link>
    )
  }
  return (
    <a href={leads.href} target="_blank" rel="noreferrer" className={link}>
      {words}
    </a>
  )
}

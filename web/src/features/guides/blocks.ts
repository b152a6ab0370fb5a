// The lists of a guide, made again of its blocks: the server sends them one after the other, each with its depth. Pure.
import type { GuideBlock } from '@/api/schema'

type Item = Extract<GuideBlock, { kind: 'item' }>

export type Node =
  | { kind: 'block'; block: Exclude<GuideBlock, Item> }
  | { kind: 'list'; start?: number; items: { spans: Item['spans']; below: Node[] }[] }

/** How many lists a block stands in. */
const depthOf = (block: GuideBlock) => ('depth' in block ? block.depth : 0)

/** Blocks as a tree: an item has below it what stands deeper, or goes on with it. */
export function tree(blocks: readonly GuideBlock[], depth = 0): Node[] {
  const nodes: Node[] = []
  let at = 0
  while (at < blocks.length) {
    const block = blocks[at] as GuideBlock
    at += 1
    if (block.kind !== 'item' || block.depth <= depth) {
      if (block.kind !== 'item') nodes.push({ kind: 'block', block })
      continue
    }
    const from = at
    while (at < blocks.length && belongs(blocks[at] as GuideBlock, block.depth)) at += 1
    const item = { spans: block.spans, below: tree(blocks.slice(from, at), block.depth) }
    const last = nodes.at(-1)
    // Numbers go on where they left off; a list that begins anew is another one.
    if (last?.kind === 'list' && (last.start === undefined) === (block.number == null) && follows(last, block)) last.items.push(item)
    else nodes.push({ kind: 'list', start: block.number ?? undefined, items: [item] })
  }
  return nodes
}

/** Whether a block is part of an item at this depth. */
const belongs = (block: GuideBlock, depth: number) => (block.kind === 'item' ? block.depth > depth : depthOf(block) >= depth)

const follows = (list: { start?: number; items: unknown[] }, { number }: Item) =>
  list.start === undefined || number == null || number === list.start + list.items.length

/** Where a link of a guide leads: to a section of the guides, or elsewhere. Whatever else it may be is no link. */
export function target(link: string): { page: string; section?: string } | { href: string } | undefined {
  const inside = /^\/guides\/([^/#?]+)(?:#(.+))?$/.exec(link)
  if (inside?.[1]) return { page: inside[1], section: inside[2] }
  return link === '/openapi.json' || link.startsWith('https://') ? { href: link } : undefined
}

// Tags and metadata as they are typed. Pure; the API knows their limits.

/** `v1.2, nightly` as its tags, each once. */
export const tagsOf = (text: string): string[] => [...new Set(text.split(/[\s,]+/).filter((tag) => tag !== ''))]

/** A line each, `ticket = SHOP-12`; which line is none. */
export function metadataOf(text: string): { metadata: Record<string, string>; wrong?: string } {
  const metadata: Record<string, string> = {}
  for (const line of text.split('\n').filter((each) => each.trim() !== '')) {
    const at = line.indexOf('=')
    const name = line.slice(0, at).trim()
    if (at < 1 || name === '') return { metadata: {}, wrong: `“${line.trim()}” is not a name, = and a value` }
    metadata[name] = line.slice(at + 1).trim()
  }
  return { metadata }
}

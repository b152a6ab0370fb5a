/** What the palette finds: by its words, or by another name of it. Pure. */
export interface Entry {
  word: string
  /** Found by this, too: an id. */
  also?: string
}

/** Those that fit, the best first: the whole, the beginning, the beginning of a word, the letters in their order. */
export function rank<Of extends Entry>(entries: Of[], search: string): Of[] {
  if (search === '') return entries
  const scored = entries.map((entry) => ({ entry, score: Math.max(score(entry.word, search), score(entry.also ?? '', search) - 1) }))
  return scored
    .filter(({ score }) => score > 0)
    .sort((a, b) => b.score - a.score)
    .map(({ entry }) => entry)
}

function score(name: string, search: string): number {
  const text = name.toLowerCase()
  if (text === '') return 0
  if (text === search) return 100
  if (text.startsWith(search)) return 80
  const at = text.indexOf(search)
  if (at > 0) return /[\s/·\-_]/.test(text.charAt(at - 1)) ? 60 : 40
  let from = 0
  for (const letter of search.replaceAll(/\s/g, '')) {
    from = text.indexOf(letter, from) + 1
    if (from === 0) return 0
  }
  return 20
}

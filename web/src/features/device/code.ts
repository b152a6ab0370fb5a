// The code that a program shows: eight letters without vowels, however somebody types them.

/** As the server writes it; nothing when it can't be one. */
export function codeOf(typed: string | undefined): string | undefined {
  const letters = (typed ?? '').replaceAll(/[\s-]/g, '').toUpperCase()
  return /^[BCDFGHJKLMNPQRSTVWXZ]{8}$/.test(letters) ? `${letters.slice(0, 4)}-${letters.slice(4)}` : undefined
}

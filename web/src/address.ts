/** A text of the address, for `validateSearch`; what looks like a number comes out of it as one: names, cursors. */
export const text = (value: unknown): string | undefined =>
  typeof value === 'number' || (typeof value === 'string' && value !== '') ? String(value) : undefined

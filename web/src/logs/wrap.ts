// Where each line is in a log whose long lines are wrapped: the letters are all as wide, so that nothing need be measured. Pure.

/** Drawn two cells wide. */
const WIDE = /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{1f300}-\u{1faff}\u{20000}-\u{3fffd}]/gu
// oxlint-disable-next-line no-control-regex
const PLAIN = /^[\u0020-\u007e]*$/

/** How many rows a text of a line takes, at least one. */
export function rowsOf(text: string, columns: number): number {
  if (text.length <= columns && PLAIN.test(text)) return 1
  if (PLAIN.test(text)) return Math.ceil(text.length / columns)
  const wide = text.match(WIDE)?.length ?? 0
  const tabs = text.split('\t').length - 1
  const cells = [...text].length + wide + tabs * 7
  // A wide letter does not fit into the last cell of a row: it may stay empty.
  return Math.max(1, Math.ceil(cells / Math.max(1, wide > 0 ? columns - 1 : columns)))
}

/** Rows before each line; asked for in any order, worked out as far as it was asked for. */
export class Wrapped {
  #before = new Uint32Array(1024)
  #known = 0

  constructor(
    readonly columns: number,
    readonly text: (at: number) => string,
  ) {}

  /** Rows before the line at this place, or all rows when it is the number of lines. */
  before(at: number): number {
    while (this.#known < at) {
      if (this.#known + 1 >= this.#before.length) {
        const larger = new Uint32Array(this.#before.length * 2)
        larger.set(this.#before)
        this.#before = larger
      }
      this.#before[this.#known + 1] = (this.#before[this.#known] ?? 0) + rowsOf(this.text(this.#known), this.columns)
      this.#known += 1
    }
    return this.#before[at] ?? 0
  }

  /** The line of `count` that a row belongs to. */
  lineAt(row: number, count: number): number {
    this.before(count)
    let from = 0
    let to = count
    while (from < to) {
      const middle = Math.floor((from + to) / 2)
      if ((this.#before[middle + 1] ?? 0) <= row) from = middle + 1
      else to = middle
    }
    return from
  }
}

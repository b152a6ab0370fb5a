// What programs print, as text with colours. Nothing of it is ever markup. Pure.

export interface Part {
  text: string
  /** 0 to 7 as terminals number them. */
  colour?: number
  bold?: boolean
  dim?: boolean
}

// oxlint-disable-next-line no-control-regex
const SEQUENCE = /\u001b(?:\[([0-9;:?]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g
/** Control characters, and those that turn the direction of text: they would make a line read otherwise than it is. */
// oxlint-disable-next-line no-control-regex
const UNSEEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g

/** Most lines: nothing in them is seen otherwise than it is. */
const ORDINARY = /^[\u0020-\u007e\t]*$/

/** The line as it ends up: what a progress bar wrote over itself is gone. */
function overwritten(line: string): string {
  const trimmed = line.endsWith('\r') ? line.slice(0, -1) : line
  const at = trimmed.lastIndexOf('\r')
  return at < 0 ? trimmed : trimmed.slice(at + 1)
}

function visible(text: string): string {
  return text.replaceAll(UNSEEN, (character) => {
    const code = character.charCodeAt(0)
    return code < 0x20 ? String.fromCharCode(0x2400 + code) : `‹${code.toString(16).padStart(4, '0')}›`
  })
}

export function parts(line: string): Part[] {
  const text = overwritten(line)
  if (!text.includes('\u001b')) return [{ text: visible(text) }]
  const found: Part[] = []
  let style: Omit<Part, 'text'> = {}
  let from = 0
  const push = (until: number) => {
    if (until > from) found.push({ text: visible(text.slice(from, until)), ...style })
  }
  for (const match of text.matchAll(SEQUENCE)) {
    push(match.index)
    from = match.index + match[0].length
    if (match[2] === 'm') style = restyled(style, match[1] ?? '')
  }
  push(text.length)
  return found.length > 0 ? found : [{ text: '' }]
}

/** The text alone: for copying and for searching. */
export const plain = (line: string) =>
  ORDINARY.test(line)
    ? line
    : parts(line)
        .map(({ text }) => text)
        .join('')

function restyled(before: Omit<Part, 'text'>, codes: string): Omit<Part, 'text'> {
  let style = { ...before }
  const list = codes.split(/[;:]/).map(Number)
  for (let at = 0; at < list.length; at += 1) {
    const code = list[at] ?? 0
    if (code === 0) style = {}
    else if (code === 1) style.bold = true
    else if (code === 2) style.dim = true
    else if (code === 22) style = { ...style, bold: undefined, dim: undefined }
    else if (code >= 30 && code <= 37) style.colour = code - 30
    else if (code >= 90 && code <= 97) style.colour = code - 90
    else if (code === 39) style.colour = undefined
    else if (code === 38 || code === 48) {
      // 256 colours and true ones: of them the sixteen of a terminal are taken, the rest is text.
      const index = list[at + 2] ?? 16
      if (code === 38 && list[at + 1] === 5 && index < 16) style.colour = index % 8
      at += list[at + 1] === 5 ? 2 : 4
    }
  }
  return style
}

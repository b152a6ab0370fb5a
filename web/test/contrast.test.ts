// Every pair of colours that carries text or meaning, in light and in dark, by the formula of WCAG 2.2.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const css = readFileSync('src/tokens.css', 'utf8')
const themes = css
  .split(/(?=^:root)/m)
  .filter((block) => block.startsWith(':root'))
  .map((block) => new Map([...block.matchAll(/--([a-z-]+): (#[0-9a-f]{6});/g)].map(([, name = '', value = '']) => [name, value])))

function luminance(hex: string): number {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => {
    const part = Number.parseInt(hex.slice(at, at + 2), 16) / 255
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r + 0.7152 * g + 0.0722 * b
}

function contrast(a: string, b: string): number {
  const [light = 0, dark = 0] = [luminance(a), luminance(b)].sort((x, y) => y - x)
  return (light + 0.05) / (dark + 0.05)
}

const grounds = ['page', 'surface', 'raised', 'sunken', 'hover']
const tones = ['good', 'busy', 'warn', 'bad', 'idle']
const text: [string, string][] = [
  ...grounds.flatMap((ground): [string, string][] => [
    ['text', ground],
    ['muted', ground],
    ['accent', ground],
    ...tones.map((tone): [string, string] => [tone, ground]),
  ]),
  ...tones.flatMap((tone): [string, string][] => [
    [tone, `${tone}-soft`],
    ['text', `${tone}-soft`],
    ['muted', `${tone}-soft`],
  ]),
  ['accent', 'accent-soft'],
  ['text', 'accent-soft'],
  ['muted', 'accent-soft'],
  ['text', 'accent-line'],
  ['on-accent', 'accent'],
  ['on-accent', 'accent-strong'],
  ['on-bad', 'bad'],
  ['on-bad', 'bad-strong'],
  ['page', 'text'],
  ...['text', 'muted', 'accent', 'good', 'busy', 'warn', 'bad', 'ansi-magenta', 'ansi-cyan'].map((ink): [string, string] => [ink, 'log']),
]
/** Edges of fields, and what shows the focus. */
const marks: [string, string][] = ['page', 'surface', 'raised'].flatMap((ground): [string, string][] => [
  ['edge', ground],
  ['focus', ground],
])

describe.each([
  ['light', themes[0]],
  ['dark', themes[1]],
] as const)('%s', (_, theme) => {
  const of = (name: string) => theme?.get(name) ?? expect.fail(`no colour is called ${name}`)
  it.each(text)('%s on %s can be read', (ink, ground) => {
    expect(contrast(of(ink), of(ground))).toBeGreaterThanOrEqual(4.5)
  })
  it.each(marks)('%s on %s can be seen', (ink, ground) => {
    expect(contrast(of(ink), of(ground))).toBeGreaterThanOrEqual(3)
  })
})

it('both themes have the same colours', () => {
  expect(themes).toHaveLength(2)
  expect([...(themes[1]?.keys() ?? [])].sort()).toEqual([...(themes[0]?.keys() ?? [])].sort())
})

// What a browser loads for the overview must stay small: what it imports at once, compressed as `gzip -9` does.
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

const limit = 200 * 1024
const root = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist/files')
const manifest = JSON.parse(readFileSync(join(root, '.vite/manifest.json'), 'utf8'))

const parts = new Set(['index.html', 'theme.js', 'favicon.svg'])
const seen = new Set()
function add(key) {
  const chunk = manifest[key]
  if (!chunk || seen.has(key)) return
  seen.add(key)
  parts.add(chunk.file)
  for (const file of chunk.css ?? []) parts.add(file)
  for (const next of chunk.imports ?? []) add(next)
}
// What the page names, with what that imports. The overview is among it: vite.config.ts.
const page = readFileSync(join(root, 'index.html'), 'utf8')
const named = new Set([...page.matchAll(/(?:src|href)="\/(assets\/[^"]+)"/g)].map(([, file]) => file))
for (const [key, { file }] of Object.entries(manifest)) if (named.has(file)) add(key)
const apart = Object.keys(manifest).filter((key) => /routes\/_app(\.tsx|\/index\.tsx)/.test(key))
if (seen.size === 0 || apart.length > 0) throw new Error(`the overview is not all in what the page names: ${apart.join(', ')}`)

const sizes = [...parts].map((file) => [file, gzipSync(readFileSync(join(root, file)), { level: 9 }).length])
sizes.sort((a, b) => b[1] - a[1])
const whole = sizes.reduce((sum, [, size]) => sum + size, 0)
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`
for (const [file, size] of sizes) console.log(`${kib(size).padStart(10)}  ${file}`)
console.log(`${kib(whole).padStart(10)}  the overview, of ${kib(limit)} that it may have`)
if (whole > limit) {
  console.error('The overview is too large: load what it does not show at once later (`lazy`, or another route)')
  process.exit(1)
}

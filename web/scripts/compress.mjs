// Lists the files of the built interface for the binary, each with its digest, and compresses what gets smaller.
import { createHash } from 'node:crypto'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants } from 'node:zlib'

const dist = join(dirname(dirname(fileURLToPath(import.meta.url))), 'dist')
const root = join(dist, 'files')
const types = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.md': 'text/plain; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
}

const files = []
for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile()) continue
  const path = join(entry.parentPath, entry.name).slice(root.length + 1)
  // Vite's own list is for the budget; compressed files are listed with the file that they are of.
  if (path.startsWith('.vite/') || path.endsWith('.br')) continue
  const type = types[extname(path)]
  if (!type) throw new Error(`${path}: no media type is known for files that end like this; add it to compress.mjs`)
  const bytes = readFileSync(join(root, path))
  const small = brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  })
  const file = { path, type, sha256: createHash('sha256').update(bytes).digest('hex') }
  if (small.length < bytes.length * 0.9) {
    file.brotli = `${path}.br`
    writeFileSync(join(root, file.brotli), small)
  }
  files.push(file)
}
files.sort((a, b) => (a.path < b.path ? -1 : 1))
writeFileSync(join(dist, 'manifest.plimsoll.json'), `${JSON.stringify({ files }, null, 1)}\n`)

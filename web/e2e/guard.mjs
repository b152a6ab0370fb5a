// Ends what is left of a server when its test can't: the run was killed, or a limit of time cut its clearing away short. Ingress and apps
// outlive whoever started them. It reads the server's folder, in a line, and acts when its input ends: its other end is gone then.
import { rmSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { endAll } from './processes.mjs'

const line = await text(process.stdin)
// Whoever was killed before the line was whole has started nothing yet.
if (line.endsWith('\n')) {
  const folder = line.slice(0, -1)
  await endAll(folder)
  rmSync(folder, { recursive: true, force: true })
}

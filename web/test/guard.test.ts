// The harness's last resort, with real processes.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { endAll } from '../e2e/processes.mjs'

const file = 'e2e/guard.mjs'

test('what a killed run of the flows leaves is ended, and nothing else', async () => {
  const [mine, other] = [mkdtempSync(join(tmpdir(), 'plimsoll-web-')), mkdtempSync(join(tmpdir(), 'plimsoll-web-'))]
  const long = (folder: string) => spawn('sleep', ['60'], { env: { ...process.env, HOME: folder }, detached: true, stdio: 'ignore' })
  const [left, stranger] = [long(mine), long(other)]
  const guard = spawn(process.execPath, [file], { stdio: ['pipe', 'ignore', 'inherit'] })
  const done = once(guard, 'exit')
  const ended = once(left, 'exit')
  guard.stdin.write(`${mine}\n`)
  guard.stdin.end()
  expect(await done).toEqual([0, null])
  expect(await ended).toEqual([null, 'SIGKILL'])
  expect(existsSync(mine)).toBe(false)
  expect(stranger.exitCode ?? stranger.signalCode).toBeNull()
  expect(existsSync(other)).toBe(true)

  const gone = once(stranger, 'exit')
  expect((await endAll(other)).map(({ pid }) => pid)).toEqual([stranger.pid])
  await gone
  rmSync(other, { recursive: true })
})

test('half a name ends nobody', async () => {
  for (const name of ['', '/', tmpdir(), '/tmp/plimsoll-web-', '/tmp/plimsoll-web-abc']) await expect(endAll(name)).rejects.toThrow('no folder of a test')
})

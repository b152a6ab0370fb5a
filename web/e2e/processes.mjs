// Processes of this machine that belong to a test, by the folder of its server: no others hold its name.
import { readFileSync, readdirSync } from 'node:fs'

/** Until those that were killed are gone. */
const END_LIMIT = 5000

/**
 * Ends all whose arguments or environment name the folder, and what they start meanwhile; which these were.
 * @param {string} folder
 */
export async function endAll(folder) {
  // Less than the whole of a name would be that of others, too.
  if (!/\/plimsoll-web-\w{6}$/.test(folder)) throw new Error(`that is no folder of a test: ${folder}`)
  /** @type {Map<number, { pid: number, command: string }>} */
  const ended = new Map()
  const deadline = Date.now() + END_LIMIT
  // One that starts another while it is looked at has a child that was not seen: until there are none.
  for (let found = naming(folder); found.length > 0; found = naming(folder)) {
    if (Date.now() > deadline) throw new Error(`they do not end: ${JSON.stringify(found)}`)
    for (const each of found) {
      ended.set(each.pid, each)
      kill9(each.pid)
    }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return [...ended.values()]
}

/**
 * Those that run, but for this one.
 * @param {string} folder
 */
function naming(folder) {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid)
    .map((pid) => ({ pid, command: read(pid, 'cmdline'), environment: read(pid, 'environ') }))
    .filter(({ pid, command, environment }) => (command.includes(folder) || environment.includes(folder)) && isAlive(pid))
    .map(({ pid, command }) => ({ pid, command }))
}

/**
 * Not one that has ended and was only not asked yet.
 * @param {number} pid
 */
function isAlive(pid) {
  const stat = read(pid, 'stat')
  return stat !== '' && !/^[ZX]/.test(stat.slice(stat.lastIndexOf(') ') + 2))
}

/**
 * Ends a process at once; one that is gone already is no trouble.
 * @param {number} pid
 */
export function kill9(pid) {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

/**
 * A process may end while it is looked at, or be none of ours to read.
 * @param {number} pid
 * @param {string} file
 */
function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

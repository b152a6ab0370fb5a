// Processes of this machine that belong to a test, by a mark that only its own have.
import { readFileSync, readdirSync } from 'node:fs'

export interface Process {
  pid: number
  command: string
}

/** Those whose arguments or environment hold `mark`; not the ones that have ended and were only not asked yet. */
export function marked(mark: string): Process[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== process.pid)
    .map((pid) => ({ pid, command: read(pid, 'cmdline'), environment: read(pid, 'environ') }))
    .filter(({ pid, command, environment }) => (command.includes(mark) || environment.includes(mark)) && isAlive(pid))
    .map(({ pid, command }) => ({ pid, command }))
}

export function isAlive(pid: number): boolean {
  const stat = read(pid, 'stat')
  return stat !== '' && !/^[ZX]/.test(stat.slice(stat.lastIndexOf(') ') + 2))
}

/** Ends a process at once; one that is gone already is no trouble. */
export function kill9(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

/** A process may end while it is looked at, or be none of ours to read. */
function read(pid: number, file: string): string {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

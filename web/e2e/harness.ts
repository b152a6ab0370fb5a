// The real binary, running: a data folder, a home and ports of its own on loopback.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { chmod, mkdir } from 'node:fs/promises'
import { request } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { endAll, kill9 } from './processes.mjs'
import { until } from './until'

export const project = fileURLToPath(new URL('../..', import.meta.url))
/** From the start to the first answer; the machine may be busy with other tests. */
const START_LIMIT = 180_000
/** What the server prints once, at its first start, for the first owner. */
const SETUP = /https?:\/\/[^\s/]+(\/setup#[\w.~-]+)/

/** The program under test, which has to be built before. */
export function binary(): string {
  const path = process.env.PLIMSOLL_BINARY ?? join(project, 'target/debug/plimsoll')
  if (!existsSync(path)) throw new Error(`there is no ${path}: run \`scripts/web build && cargo build -p plimsoll\` first`)
  return path
}

export class Server {
  /** Where the pages and the API are. */
  readonly url: string
  /** Arguments of every start. */
  readonly #args: string[]
  readonly #guard: ReturnType<typeof guard>
  #child?: ChildProcess

  private constructor(
    readonly root: string,
    readonly port: number,
    /** The port at which apps answer. */
    readonly ingress: number,
    more: string[],
  ) {
    this.url = `http://127.0.0.1:${port}`
    this.#guard = guard(root)
    const listen = ['--listen', `127.0.0.1:${port}`, '--ingress-listen', `127.0.0.1:${ingress}`]
    // One machine does the work of many people here.
    this.#args = ['server', ...listen, '--app-path', this.shared, '--rate-limit', '10', ...more]
  }

  static async start(more: string[] = []): Promise<Server> {
    const root = realpathSync(mkdtempSync(join(tmpdir(), 'plimsoll-web-')))
    const server = new Server(root, await freePort(), await freePort(), more)
    await mkdir(join(root, 'home'))
    await mkdir(server.shared)
    // Builds and apps are other users.
    await chmod(root, 0o755)
    await chmod(server.shared, 0o1777)
    try {
      await server.restart()
    } catch (error) {
      // What went wrong at first is what counts.
      await server.stop().catch(() => {})
      throw error
    }
    return server
  }

  /** Starts it (again) with the same folder and ports, and waits until it answers. */
  async restart(): Promise<void> {
    if (this.#child) throw new Error('it runs')
    const log = openSync(this.#logFile, 'a')
    const child = spawn(binary(), this.#command(this.#args), { ...this.#surroundings(), stdio: ['ignore', log, log] })
    closeSync(log)
    this.#child = child
    await until('the server answers', START_LIMIT, async () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`plimsoll server ended:\n${lastLines(this.log())}`)
      return (await status(`${this.url}/readyz`)) === 200
    })
  }

  /** Ends the server at once, as a power cut would; ingress and apps are left alone. */
  async kill9(): Promise<void> {
    const child = this.#child
    if (!child?.pid) throw new Error('it does not run')
    const ended = gone(child)
    kill9(child.pid)
    await ended
    this.#child = undefined
  }

  /** Stops everything with `plimsoll down`; fails when a process of it is left. */
  async stop(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    let trouble: unknown
    try {
      await this.cli('down', '--yes')
      if (child) await within(gone(child), 60_000, 'the server does not end after `plimsoll down`')
    } catch (error) {
      trouble = error
    }
    const left = await endAll(this.root)
    rmSync(this.root, { recursive: true, force: true })
    const released = gone(this.#guard)
    this.#guard.stdin.end()
    await released
    if (trouble) throw trouble
    if (left.length > 0) throw new Error(`\`plimsoll down\` left processes behind: ${JSON.stringify(left)}`)
  }

  /** The path and fragment of the first owner's link, as the server printed it. */
  get setupLink(): string {
    const found = SETUP.exec(this.log())?.[1]
    if (!found) throw new Error(`the server printed no setup link:\n${lastLines(this.log())}`)
    return this.url + found
  }

  /** The CLI, as whoever runs the server; its standard output. */
  async cli(...args: string[]): Promise<string> {
    const asked = promisify(execFile)(binary(), this.#command(args), this.#surroundings())
    // Some commands read what is sent to them.
    asked.child.stdin?.end()
    return (await asked).stdout
  }

  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.cli('--json', ...args)) as T
  }

  /** As if it had been a while since this person last showed who they are: something grave asks for that anew. */
  async later(email: string): Promise<void> {
    const change = `UPDATE sessions SET confirmed_at = confirmed_at - ${11 * 60_000_000} WHERE user_id = (SELECT id FROM users WHERE email = ?)`
    const program = 'import sqlite3, sys\nwith sqlite3.connect(sys.argv[1], timeout=30) as found: assert found.execute(sys.argv[2], sys.argv[3:]).rowcount > 0'
    await promisify(execFile)('python3', ['-c', program, join(this.root, 'data', 'plimsoll.db'), change, email])
  }

  /** What an app answers through the ingress. */
  visit(app: string, path = '/'): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = { host: `${app}.localhost`, connection: 'close' }
      const asked = request({ host: '127.0.0.1', port: this.ingress, path, headers }, (response) => {
        let text = ''
        response.setEncoding('utf8')
        response.on('data', (part: string) => (text += part))
        response.on('end', () => resolve(text.trim()))
        response.on('error', reject)
      })
      asked.on('error', reject)
      asked.end()
    })
  }

  /** A folder that builds and apps see: for files by which they wait for a test. */
  get shared(): string {
    return join(this.root, 'shared')
  }

  /** All it has printed. */
  log(): string {
    return existsSync(this.#logFile) ? readFileSync(this.#logFile, 'utf8') : ''
  }

  get #logFile(): string {
    return join(this.root, 'server.log')
  }

  #command(args: string[]): string[] {
    return ['--data', join(this.root, 'data'), ...args]
  }

  /** Nothing of this machine's settings, and a home of its own. */
  #surroundings() {
    const home = join(this.root, 'home')
    const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('PLIMSOLL_'))
    const env = { ...Object.fromEntries(kept), HOME: home, XDG_STATE_HOME: join(home, 'state'), XDG_DATA_HOME: join(home, 'data'), NO_COLOR: '1' }
    return { cwd: home, env }
  }
}

/** Sees to it that nothing of the folder outlives this process, however it ends. A session of its own: what ends a run spares it. */
function guard(root: string) {
  const file = fileURLToPath(new URL('./guard.mjs', import.meta.url))
  const child = spawn(process.execPath, [file], { detached: true, stdio: ['pipe', 'ignore', 'inherit'] })
  // By its arguments or its environment it would be one of those that it ends.
  child.stdin.write(`${root}\n`)
  return child
}

const lastLines = (text: string) => text.split('\n').slice(-40).join('\n')

function gone(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  return new Promise((resolve) => child.once('exit', () => resolve()))
}

async function within<T>(work: Promise<T>, ms: number, or: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(or)), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

async function status(url: string): Promise<number | undefined> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) })
    await response.body?.cancel()
    return response.status
  } catch {
    return undefined
  }
}

const given = new Set<number>()

/** A port where nobody listens, outside of the ranges for apps and outgoing connections. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 10_000)
    if (!given.has(port) && (await isFree(port))) {
      given.add(port)
      return port
    }
  }
}

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const probe = createServer()
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })

// Real git repositories with an app that says which version it is.
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtempSync, realpathSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { project } from './harness'

interface Version {
  /** Answered at `/`. */
  version: string
  /** Shell command that builds it. */
  build?: string
  /** What its processes find in their environment; `EXIT_AT_START` and `UNHEALTHY` make them misbehave. */
  env?: Record<string, string>
  /** More files by their names. */
  files?: Record<string, string>
}

export class Repo {
  readonly path = realpathSync(mkdtempSync(join(tmpdir(), 'plimsoll-web-repo-')))

  constructor() {
    this.#git('init', '--quiet', '--initial-branch=main')
  }

  /** Commits a version of the app; its 40 digits. */
  commit({ version, build, env = {}, files = {} }: Version): string {
    const config = [
      '[components.web]',
      'kind = "procfile"',
      'stop_timeout = "5s"',
      ...(build ? [`build = [${JSON.stringify(build)}]`] : []),
      '[components.web.health]',
      'path = "/healthz"',
      'interval = "50ms"',
      'grace = "60s"',
      '[components.web.env]',
      ...Object.entries(env).map(([name, value]) => `${name} = ${JSON.stringify(value)}`),
    ]
    this.#write('serve.py', readFileSync(join(project, 'tests/src/serve.py'), 'utf8'))
    this.#write('VERSION', `${version}\n`)
    this.#write('Procfile', 'web: python3 serve.py\n')
    this.#write('plimsoll.toml', `${config.join('\n')}\n`)
    for (const [name, text] of Object.entries(files)) this.#write(name, text)
    this.#git('add', '--all')
    this.#git('commit', '--quiet', '--allow-empty', '--message', `Version ${version}`)
    return this.#git('rev-parse', 'HEAD')
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true })
  }

  #write(name: string, text: string): void {
    writeFileSync(join(this.path, name), text)
  }

  #git(...args: string[]): string {
    const named = ['-c', 'user.name=Tester', '-c', 'user.email=tester@example.org', '-c', 'gc.auto=0']
    const env = { ...process.env, HOME: this.path, GIT_CONFIG_NOSYSTEM: '1' }
    return execFileSync('git', ['-C', this.path, ...named, ...args], { encoding: 'utf8', env }).trim()
  }
}

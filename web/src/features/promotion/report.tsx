// What a promotion would change, and what speaks against it.
import type { ReactNode } from 'react'
import { sentence } from '@/api/errors'
import type { Commit, PromotionReport, SettingDifference, VariableDifference, Version } from '@/api/schema'
import { Code } from '@/ui/code'
import { plural } from '@/ui/format'
import { Note } from '@/ui/note'
import { Words } from '@/ui/words'

export function Report({ report }: { report: PromotionReport }) {
  const { promoted, live, from, to, findings, commits, variables, configuration, routes, release_commands: commands } = report
  const differing = variables.filter(({ comparison }) => comparison !== 'same')
  const same = variables.length - differing.length
  return (
    <div className="flex flex-col gap-3">
      {findings.map(({ code, severity, message, hint }) => (
        <Note key={code} tone={severity === 'blocking' ? 'bad' : 'warn'} title={<Words text={sentence(message)} />}>
          <Words text={sentence(hint)} />
        </Note>
      ))}
      <section aria-label="What changes" className="rounded-lg border border-line">
        <div className="grid grid-cols-2 divide-x divide-line">
          <Side word={`Serves in ${to}`} version={live ?? undefined} />
          <Side word={`Comes from ${from}`} version={promoted} />
        </div>
        <Part title="Commits">
          {commits.unknown ? (
            <p className="text-muted">
              Not known: <Words text={commits.unknown} />
            </p>
          ) : commits.added.length + commits.removed.length === 0 ? (
            <p className="text-muted">None comes and none goes.</p>
          ) : (
            <>
              <Commits word="comes" commits={commits.added} />
              <Commits word="goes" commits={commits.removed} />
            </>
          )}
        </Part>
        <Part title="Variables">
          {differing.length > 0 ? (
            <ul className="flex flex-col gap-0.5">
              {differing.map((variable) => (
                <li key={variable.name}>
                  <Code className="break-all">{variable.name}</Code> <span className="text-muted">{told(variable, from, to)}</span>
                </li>
              ))}
            </ul>
          ) : null}
          <p className="text-muted">{same === 0 && differing.length === 0 ? 'None.' : same > 0 ? `${plural(same, 'variable')} with the same value.` : ''}</p>
        </Part>
        {configuration.length > 0 ? (
          <Part title="Configuration">
            <ul className="flex flex-col gap-1">
              {configuration.map((difference) => (
                <Setting key={difference.setting} difference={difference} />
              ))}
            </ul>
          </Part>
        ) : null}
        {routes.length > 0 ? (
          <Part title="Routes">
            <ul className="flex flex-col gap-0.5">
              {routes.map(({ route, live: before, promoted: after }) => (
                <li key={route} className="break-all">
                  <Code>{route}</Code>{' '}
                  <span className="text-muted">
                    {before ? `answered by ${before}` : 'answered by nothing'}, then {after ? `by ${after}` : 'by nothing any more'}
                  </span>
                </li>
              ))}
            </ul>
          </Part>
        ) : null}
        {commands.length > 0 ? (
          <Part title="Run before it starts">
            <ul className="flex flex-col gap-1">
              {commands.map((command) => (
                <li key={command}>
                  <Code className="break-all">{command}</Code>
                </li>
              ))}
            </ul>
          </Part>
        ) : null}
      </section>
    </div>
  )
}

/** The variable's name and no value: nobody reads those. */
function told({ comparison }: VariableDifference, from: string, to: string): string {
  switch (comparison) {
    case 'only_in_source':
      return `is only in ${from}`
    case 'only_in_target':
      return `is only in ${to}`
    case 'different':
      return 'has another value'
    case 'same':
      return 'has the same value'
  }
}

export const Part = ({ title, children }: { title: string; children: ReactNode }) => (
  <div className="border-t border-line px-3 py-2.5 text-sm">
    <h3 className="mb-1 text-xs font-medium text-muted">{title}</h3>
    {children}
  </div>
)

const Side = ({ word, version }: { word: string; version?: Version }) => (
  <div className="min-w-0 px-3 py-2.5">
    <p className="text-xs text-muted">{word}</p>
    {version ? (
      <>
        <p className="font-semibold tabular">v{version.number}</p>
        {version.commit ? <One commit={version.commit} /> : null}
      </>
    ) : (
      <p className="text-muted">nothing yet</p>
    )}
  </div>
)

const One = ({ commit }: { commit: Commit }) => (
  <p className="text-sm break-words">
    <Code>{commit.sha.slice(0, 7)}</Code> {commit.summary}
  </p>
)

/** A few at once, the rest behind one click: a promotion after a month brings a hundred. */
const SHOWN = 5

export function Commits({ word, commits }: { word: string; commits: Commit[] }) {
  if (commits.length === 0) return null
  const [first, rest] = [commits.slice(0, SHOWN), commits.slice(SHOWN)]
  return (
    <div className="mb-1.5 last:mb-0">
      <p className="text-muted">
        {plural(commits.length, 'commit')} {commits.length === 1 ? word : word.replace(/s$/, '')}:
      </p>
      {first.map((commit) => (
        <One key={commit.sha} commit={commit} />
      ))}
      {rest.length > 0 ? (
        <details>
          <summary className="touch py-1 text-accent hover:underline">and {rest.length} more</summary>
          {rest.map((commit) => (
            <One key={commit.sha} commit={commit} />
          ))}
        </details>
      ) : null}
    </div>
  )
}

const shown = (value: SettingDifference['live']) => (value === undefined || value === null ? 'not set' : typeof value === 'string' ? value : JSON.stringify(value))

export const Setting = ({ difference: { setting, live, promoted } }: { difference: SettingDifference }) => (
  <li className="break-words">
    <Code className="break-all">{setting}</Code>
    <span className="block">
      <span className="text-muted line-through">{shown(live)}</span> <span aria-hidden>→</span>
      <span className="sr-only">becomes</span> {shown(promoted)}
    </span>
  </li>
)

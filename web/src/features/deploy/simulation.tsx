// A plan, run against a model: to the end, and once for each step that could fail.
import { useQuery } from '@tanstack/react-query'
import { simulation } from '@/api/plans'
import type { Simulated } from '@/api/schema'
import { Loaded } from '@/ui/states'
import { Status, standingOf } from '@/ui/status'
import { Words } from '@/ui/words'
import { ifItFails, stageWord } from './words'

export default function Failures({ digest }: { digest: string }) {
  const query = useQuery(simulation(digest))
  return (
    <section aria-label="What if a step fails" className="rounded-lg border border-line">
      <Loaded query={query}>
        {({ runs }) => (
          <ul>
            {runs.map((run) => (
              <One key={run.fails_at ?? ''} run={run} />
            ))}
          </ul>
        )}
      </Loaded>
    </section>
  )
}

function One({ run }: { run: Simulated }) {
  const { ends, stuck, serves, steps, left } = run
  const taken = steps.flatMap(({ stage, text }) => (text ? [{ stage, text }] : []))
  return (
    <li className="border-t border-line px-3 py-2 first:border-t-0">
      <div className="flex flex-wrap items-baseline justify-between gap-x-3">
        <h3 className="font-medium">{ifItFails(run, stageWord)}</h3>
        <Status standing={standingOf({ phase: ends, cancelling: false, stuck })} />
      </div>
      <p className="text-sm">
        Then <Words text={serves} />.
      </p>
      {taken.length + left.length > 0 ? (
        <details className="text-sm">
          <summary className="touch cursor-pointer py-0.5 text-accent hover:underline">What is taken back, and what is there then</summary>
          <ul className="mt-1 flex flex-col gap-0.5 break-words">
            {taken.map(({ stage, text }) => (
              <li key={`${stage} ${text}`}>
                {stageWord(stage)}: <Words text={text} />
              </li>
            ))}
            {left.map((what) => (
              <li key={what} className="text-muted">
                Afterwards: <Words text={what} />
              </li>
            ))}
          </ul>
        </details>
      ) : null}
    </li>
  )
}

// What a deployment would do, before anything is done.
import { ChevronRight } from 'lucide-react'
import { Suspense, lazy, useEffect, useRef, useState } from 'react'
import { sentence } from '@/api/errors'
import type { Plan, Step } from '@/api/schema'
import { Commits, Part, Setting } from '@/features/promotion/report'
import { Button } from '@/ui/button'
import { Facts } from '@/ui/card'
import { Code } from '@/ui/code'
import { duration } from '@/ui/format'
import { Note } from '@/ui/note'
import { Skeleton } from '@/ui/states'
import { Time } from '@/ui/time'
import { Words } from '@/ui/words'
import { estimated, headline, stageWord, startsIn, touched } from './words'

const Failures = lazy(() => import('./simulation'))

export function PlanView({ plan }: { plan: Plan }) {
  const first = useRef<HTMLParagraphElement>(null)
  // The button that was pressed is gone: who hears the page goes on here.
  useEffect(() => first.current?.focus(), [plan.digest])
  const { findings, notes = [], downtime, start, steps } = plan
  return (
    <div className="flex flex-col gap-4">
      <p ref={first} tabIndex={-1} className="font-medium outline-none">
        {headline(plan)}
      </p>
      {findings.map(({ code, severity, message, hint }) => (
        <Note key={code} tone={severity === 'blocking' ? 'bad' : 'warn'} title={<Words text={sentence(severity === 'blocking' ? `it would fail: ${message}` : message)} />}>
          <Words text={sentence(hint)} />
        </Note>
      ))}
      <Facts
        facts={[
          ...(plan.commit
            ? ([['Commit', <span key="commit" className="break-words"><Code>{plan.commit.sha.slice(0, 7)}</Code> {plan.commit.summary}{plan.reference ? <span className="text-muted"> ({plan.reference})</span> : null}</span>]] as [string, React.ReactNode][])
            : []),
          ['Begins', <span key="begins">{startsIn(start)}{start.waiting_for && start.estimate ? <>, probably <Time at={start.estimate.at} /></> : null}</span>],
          ['Takes', plan.duration ? estimated(plan.duration) : 'not known: nothing like it was measured here yet'],
          ['Downtime', downtime.expected_ms === 0 ? 'none expected' : `${duration(downtime.expected_ms)} expected`],
          ['Good until', <Time key="until" at={plan.expires_at} />],
        ]}
      />
      <section aria-label="Steps" className="rounded-lg border border-line">
        <ol>
          {steps.map((step) => (
            <One key={step.stage} step={step} />
          ))}
        </ol>
      </section>
      <Differences plan={plan} />
      <Downtimes plan={plan} />
      {notes.length > 0 ? (
        <ul aria-label="Remarks" className="list-disc pl-5 text-sm text-muted">
          {notes.map((note) => (
            <li key={note}>
              <Words text={sentence(note)} />
            </li>
          ))}
        </ul>
      ) : null}
      <IfItFails digest={plan.digest} />
    </div>
  )
}

function One({ step: { stage, action, reason, touches, duration: takes, undo } }: { step: Step }) {
  const skipped = action === 'skip'
  return (
    <li className="border-t border-line px-3 py-2 first:border-t-0">
      <div className="flex items-baseline justify-between gap-3">
        <h3 className={skipped ? 'text-muted' : 'font-medium'}>{stageWord(stage)}</h3>
        <span className="shrink-0 text-sm text-muted tabular">{skipped ? 'nothing to do' : takes ? duration(takes.median_ms) : 'time not known'}</span>
      </div>
      <p className="text-sm text-muted">
        <Words text={sentence(reason)} />
      </p>
      {skipped ? null : (
        <details className="text-sm">
          <summary className="touch cursor-pointer py-0.5 text-accent hover:underline">What it touches</summary>
          <ul className="mt-1 flex flex-col gap-0.5 break-words">
            {touches.map((touch) => (
              <li key={JSON.stringify(touch)}>
                <Words text={touched(touch)} />
              </li>
            ))}
            <li className="text-muted">
              If it is taken back: <Words text={undo} />
            </li>
          </ul>
        </details>
      )}
    </li>
  )
}

function Differences({ plan: { differences, live } }: { plan: Plan }) {
  const { commits, variables, components, routes, configuration } = differences
  const named: [string, string[]][] = [
    ['Variables that come', variables.added],
    ['Variables with another value', variables.changed],
    ['Variables that go', variables.removed],
    ['Components that come', components.added],
    ['Components that change', components.changed],
    ['Components that go', components.removed],
  ]
  const parts = named.filter(([, names]) => names.length > 0)
  const moved = commits.added.length + commits.removed.length > 0
  if (!live) return null
  return (
    <section aria-label="What changes" className="rounded-lg border border-line *:first:border-t-0">
      {moved || commits.unknown ? (
        <Part title="Commits">
          {commits.unknown ? (
            <p className="text-muted">
              Not known: <Words text={commits.unknown} />
            </p>
          ) : null}
          <Commits word="comes" commits={commits.added} />
          <Commits word="goes" commits={commits.removed} />
        </Part>
      ) : null}
      {parts.map(([title, names]) => (
        <Part key={title} title={title}>
          <ul className="flex flex-wrap gap-x-2 gap-y-1">
            {names.map((name) => (
              <li key={name}>
                <Code className="break-all">{name}</Code>
              </li>
            ))}
          </ul>
        </Part>
      ))}
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
      {configuration.length > 0 ? (
        <Part title="Configuration">
          <ul className="flex flex-col gap-1">
            {configuration.map((difference) => (
              <Setting key={difference.setting} difference={difference} />
            ))}
          </ul>
        </Part>
      ) : null}
      {!moved && !commits.unknown && parts.length + routes.length + configuration.length === 0 ? (
        <Part title="What changes">
          <p className="text-muted">Nothing but the release itself.</p>
        </Part>
      ) : null}
    </section>
  )
}

const EXPECTED = { none: 'none', overlap: 'none, but an overlap', begins: 'it begins', ends: 'it ends' }

function Downtimes({ plan: { downtime } }: { plan: Plan }) {
  return (
    <details className="text-sm">
      <summary className="touch cursor-pointer py-1 font-medium text-accent hover:underline">Downtime, by component</summary>
      <ul className="mt-1 flex flex-col gap-1">
        {downtime.components.map(({ component, expected, reason }) => (
          <li key={component} className="break-words">
            <strong>{component}</strong>: {EXPECTED[expected]}; <Words text={reason} />
          </li>
        ))}
        {downtime.notes.map((note) => (
          <li key={note} className="text-muted">
            <Words text={sentence(note)} />
          </li>
        ))}
      </ul>
    </details>
  )
}

function IfItFails({ digest }: { digest: string }) {
  const [shown, setShown] = useState<string>()
  return shown === digest ? (
    <Suspense fallback={<Skeleton />}>
      <Failures digest={digest} />
    </Suspense>
  ) : (
    <div>
      <Button size="sm" onClick={() => setShown(digest)}>
        <ChevronRight aria-hidden /> What if a step fails
      </Button>
    </div>
  )
}

// The tests that say whether what serves does its work: how they went, and once more now.
import { useQuery } from '@tanstack/react-query'
import { CircleCheck, CircleDashed, CircleX, FlaskConical } from 'lucide-react'
import { useRef, useState } from 'react'
import { runSmokeTests } from '@/api/actions'
import { Intention } from '@/api/keys'
import { deployment as deploymentQuery, release as releaseQuery } from '@/api/queries'
import type { Environment, SmokeReport, SmokeResult, SmokeTest } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { Code } from '@/ui/code'
import { duration, plural } from '@/ui/format'
import { Failed } from '@/ui/states'
import { Status, type Standing } from '@/ui/status'

/** Nothing at all where the release has no tests. */
export function SmokeTests({ environment }: { environment: Environment }) {
  const { active, app } = environment
  const { data: release } = useQuery({ ...releaseQuery(app, active?.release_number ?? 0), enabled: Boolean(active) })
  const tests = release?.spec.smoke_tests ?? []
  return active && tests.length > 0 ? <Shown key={active.release} environment={environment} deployment={active.deployment} tests={tests} /> : null
}

function Shown({ environment, deployment, tests }: { environment: Environment; deployment: string; tests: SmokeTest[] }) {
  const { app, name } = environment
  const may = useMay()
  const intention = useRef(new Intention())
  const { data: of } = useQuery(deploymentQuery(deployment))
  const [report, setReport] = useState<SmokeReport>()
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const results = report?.results ?? of?.metadata.smoke_tests ?? []
  const failed = results.filter(({ outcome }) => outcome === 'failed').length
  const skipped = results.every(({ outcome }) => outcome === 'skipped')
  const run = async () => {
    setBusy(true)
    setError(undefined)
    try {
      setReport(await runSmokeTests(app, name, intention.current.keyFor([app, name])))
      intention.current.answered()
    } catch (caught) {
      setError(caught)
    } finally {
      setBusy(false)
    }
  }
  return (
    <Card
      title="Smoke tests"
      flush
      aside={
        <>
          <span className="text-sm text-muted" role="status">
            {busy ? 'Running' : results.length === 0 ? 'Not run yet' : `${report ? 'Just now' : 'At its deployment'}: ${skipped ? 'all skipped' : failed === 0 ? 'all passed' : `${plural(failed, 'test')} failed`}`}
          </span>
          <Button size="sm" busy={busy} disabledReason={may('deployer', app)} onClick={() => void run()}>
            <FlaskConical aria-hidden /> Run now
          </Button>
        </>
      }
    >
      {error === undefined ? null : <Failed error={error} retry={() => void run()} className="m-4 mt-0" />}
      <ul>
        {tests.map((test) => (
          <One key={test.name} test={test} results={results.filter((result) => result.name === test.name)} />
        ))}
      </ul>
    </Card>
  )
}

const MOMENTS = { before: 'each instance', after: 'through the ingress' }

const STANDINGS: Record<SmokeResult['outcome'], Standing> = {
  passed: { tone: 'good', word: 'Passed', icon: CircleCheck },
  failed: { tone: 'bad', word: 'Failed', icon: CircleX },
  skipped: { tone: 'idle', word: 'Skipped', icon: CircleDashed },
}

function One({ test: { name, component, check }, results }: { test: SmokeTest; results: SmokeResult[] }) {
  return (
    <li className="flex flex-wrap items-start gap-x-4 gap-y-1 border-t border-line px-4 py-2.5">
      <div className="min-w-0 grow">
        <p className="font-medium break-words">{name}</p>
        <p className="text-sm break-words text-muted">
          {component}: {check.kind === 'command' ? <Code>{check.command}</Code> : 'an HTTP request'}
        </p>
      </div>
      <ul className="flex flex-col gap-1">
        {results.map((result, index) => (
          // A test has one result for each instance and moment, in a fixed order.
          // oxlint-disable-next-line react/no-array-index-key
          <li key={`${result.moment} ${index}`}>
            <Status standing={STANDINGS[result.outcome]} />{' '}
            <span className="text-sm text-muted">
              {MOMENTS[result.moment]}
              {result.outcome === 'skipped' ? `: ${result.reason}` : `, ${duration(result.took_ms)}`}
            </span>
            {result.outcome === 'failed' ? (
              <p className="max-w-prose text-sm break-words">
                Expected {result.expected}, got {result.got}
              </p>
            ) : null}
          </li>
        ))}
      </ul>
    </li>
  )
}

import { useQuery } from '@tanstack/react-query'
import { Link, createFileRoute } from '@tanstack/react-router'
import { approval as approvalQuery } from '@/api/approvals'
import { sentence } from '@/api/errors'
import { analytics, deployment as deploymentQuery, tail } from '@/api/queries'
import type { Deployment } from '@/api/schema'
import { ApprovalCard } from '@/features/approvals/approval'
import { DeploymentActions } from '@/features/deployment/actions'
import { FailureNote } from '@/features/deployment/failure'
import { PhaseBar } from '@/features/deployment/phase-bar'
import { steps, timeLeft } from '@/features/deployment/phases'
import { TrafficCard, switches } from '@/features/deployment/traffic'
import { nameOf } from '@/features/deployment/words'
import { SourceWords } from '@/features/deploy/source'
import { LogView } from '@/logs/log-view'
import { outputFile, useOutput } from '@/logs/use-output'
import { to } from '@/paths'
import { Card, Facts } from '@/ui/card'
import { Code } from '@/ui/code'
import { duration } from '@/ui/format'
import { Note } from '@/ui/note'
import { Page } from '@/ui/page'
import { Loaded } from '@/ui/states'
import { Status, hasEnded, standingOf } from '@/ui/status'
import { Elapsed, Time, useNow } from '@/ui/time'

export const Route = createFileRoute('/_app/deployments/$deployment')({
  loader: ({ context: { client }, params, cause }) => {
    void client.prefetchQuery(deploymentQuery(params.deployment))
    // The log is the most of the page: it does not wait until the rest of it is there.
    if (cause !== 'preload') void client.prefetchQuery(tail(params.deployment))
  },
  component: DeploymentPage,
})

function DeploymentPage() {
  const { deployment: id } = Route.useParams()
  const query = useQuery(deploymentQuery(id))
  return (
    <Loaded query={query} title="Deployment">
      {(deployment) => <Shown deployment={deployment} />}
    </Loaded>
  )
}

function Shown({ deployment }: { deployment: Deployment }) {
  const { id, app, environment, phase, failure, stuck, metadata } = deployment
  const { data: figures } = useQuery(analytics({ app, environment }))
  const ended = hasEnded(phase)
  const { store, state, before } = useOutput(id, !ended && !stuck)
  const list = steps(deployment, figures?.phases)
  return (
    <Page
      title={nameOf(deployment)}
      trail={[
        { word: app, link: to.app(app) },
        { word: environment, link: to.environment(app, environment) },
      ]}
      beside={<Status standing={standingOf(deployment)} badge />}
      mood={failure || stuck ? 'failed' : ended ? undefined : 'running'}
      lead={
        metadata.commit ? (
          <>
            <Code>{metadata.commit.sha.slice(0, 7)}</Code> {metadata.commit.summary} <span className="text-muted">by {metadata.commit.author}</span>
          </>
        ) : undefined
      }
      actions={<DeploymentActions deployment={deployment} />}
    >
      {stuck ? (
        <Note tone="bad" urgent title={sentence(stuck)}>
          It waits for somebody: see to the reason, then let it go on. Or abandon it: it ends as it is.
        </Note>
      ) : null}
      {failure ? <FailureNote failure={failure} /> : null}
      {phase === 'queued' ? (
        <Note tone="idle" title={metadata.waiting_for ? sentence(metadata.waiting_for) : 'It waits for its turn.'}>
          <Link {...to.queue()} className="underline">
            The queue
          </Link>
        </Note>
      ) : metadata.waiting_for && !ended && !stuck ? (
        <Note tone="idle" title={sentence(`it waits for ${metadata.waiting_for}`)} />
      ) : null}
      <Asked deployment={deployment} />

      <Card>
        <div className="mb-3 flex flex-wrap items-baseline gap-x-5 gap-y-1 text-sm text-muted">
          <span>
            {ended ? 'Took' : 'Going on for'}{' '}
            <Elapsed from={deployment.created_at} to={ended ? deployment.finished_at : null} className="font-medium text-text" />
          </span>
          {ended ? null : <Left list={list} />}
          <Waited deployment={deployment} />
          <span>
            ordered by {deployment.requested_by}, <Time at={deployment.created_at} />
          </span>
        </div>
        <PhaseBar steps={list} />
      </Card>

      <Card title="Output" flush className="overflow-hidden">
        <LogView
          store={store}
          state={state}
          before={before}
          label="Output of the deployment"
          download={store.count > 0 ? outputFile(id) : undefined}
          empty={
            typeof state === 'object'
              ? 'What it printed can’t be read from here: it is on the machine of its environment, or was removed as old.'
              : ended
                ? 'It printed nothing.'
                : 'Nothing was printed yet.'
          }
        />
      </Card>

      <div className="grid items-start gap-4 md:grid-cols-2">
        {switches(deployment) ? <TrafficCard app={app} environment={environment} live={!ended} of={deployment} /> : null}
        <Card title="Details">
          <Facts
            facts={[
              ...(deployment.source ? [['Source', <SourceWords key="source" source={deployment.source} />] satisfies [string, React.ReactNode]] : []),
              ...(metadata.detected_type ? [['Stack', metadata.detected_type] satisfies [string, string]] : []),
              ...(metadata.urls && metadata.urls.length > 0
                ? [
                    [
                      'Addresses',
                      <span key="urls" className="flex flex-col">
                        {metadata.urls.map((url) => (
                          <a key={url} href={url} target="_blank" rel="noreferrer" className="break-all text-accent hover:underline">
                            {url}
                          </a>
                        ))}
                      </span>,
                    ] satisfies [string, React.ReactNode],
                  ]
                : []),
              ['Generation', deployment.generation],
              ['Id', <Code key="id" className="break-all">{id}</Code>],
            ]}
          />
        </Card>
      </div>
    </Page>
  )
}

/** What others were asked about it; above everything else while it waits for them. */
function Asked({ deployment: { metadata } }: { deployment: Deployment }) {
  const { approval: id } = metadata
  const { data } = useQuery({ ...approvalQuery(id ?? ''), enabled: Boolean(id) })
  return data ? <ApprovalCard approval={data} here /> : null
}

/** What of its time it spent in the queue, where that is worth a word. */
function Waited({ deployment }: { deployment: Deployment }) {
  const queued = deployment.phases.find(({ phase }) => phase === 'queued')
  if (!queued?.finished_at || Date.parse(queued.finished_at) - Date.parse(queued.started_at) < 1000) return null
  return (
    <span>
      of it <Elapsed from={queued.started_at} to={queued.finished_at} className="font-medium text-text" /> in the queue
    </span>
  )
}

/** How long it probably still takes. */
function Left({ list }: { list: ReturnType<typeof steps> }) {
  const left = timeLeft(list, useNow())
  if (left === undefined) return null
  return (
    <span>
      {left < 1000 ? (
        'a little longer than usual'
      ) : (
        <>
          about <span className="font-medium text-text tabular">{duration(Math.round(left / 1000) * 1000)}</span> left
        </>
      )}
    </span>
  )
}

import { useQuery } from '@tanstack/react-query'
import { Link, createFileRoute } from '@tanstack/react-router'
import { ExternalLink } from 'lucide-react'
import { app as appQuery, deployments, environment as environmentQuery } from '@/api/queries'
import type { AppDetail, Environment } from '@/api/schema'
import { Policy } from '@/features/approvals/policy'
import { DeployButton } from '@/features/deploy/deploy'
import { DeploymentList } from '@/features/deployment/list'
import { TrafficCard } from '@/features/deployment/traffic'
import { Instances } from '@/features/environment/instances'
import { SmokeTests } from '@/features/environment/smoke-tests'
import { Variables } from '@/features/environment/variables'
import { WorkingNow } from '@/features/environment/working'
import { PromoteButton } from '@/features/promotion/promote'
import { RollbackButton } from '@/features/rollback/rollback'
import { LogView } from '@/logs/log-view'
import { useLogs } from '@/logs/use-output'
import { to } from '@/paths'
import { Card, Facts } from '@/ui/card'
import { Page } from '@/ui/page'
import { Empty, Loaded } from '@/ui/states'
import { Status, healthOf } from '@/ui/status'
import { Time } from '@/ui/time'

export const Route = createFileRoute('/_app/apps/$app/$environment')({
  loader: ({ context, params }) => {
    void context.client.prefetchQuery(environmentQuery(params.app, params.environment))
    void context.client.prefetchQuery(appQuery(params.app))
  },
  component: EnvironmentPage,
})

function EnvironmentPage() {
  const { app, environment } = Route.useParams()
  const query = useQuery(environmentQuery(app, environment))
  const of = useQuery(appQuery(app))
  return (
    <Loaded query={query} title={environment}>
      {(found) => <Loaded query={of}>{(detail) => <Shown app={detail} environment={found} />}</Loaded>}
    </Loaded>
  )
}

function Shown({ app, environment }: { app: AppDetail; environment: Environment }) {
  const { active, name, instances, in_progress: working } = environment
  const latest = useQuery(deployments({ app: app.name, environment: name, limit: 8 }))
  const serving = new Set(active ? [active.deployment] : [])
  const health = healthOf(instances, Boolean(active))
  return (
    <Page
      title={name}
      trail={[{ word: app.name, link: to.app(app.name) }]}
      beside={<Status standing={health} badge />}
      mood={working.length > 0 ? 'running' : health.tone === 'bad' ? 'failed' : undefined}
      actions={
        <>
          <RollbackButton environment={environment} />
          <PromoteButton app={app} from={name} />
          <DeployButton app={app} environment={name} look="primary" />
        </>
      }
    >
      <WorkingNow environment={environment} />
      <div className="grid items-start gap-4 lg:grid-cols-[1fr_1.4fr]">
        <Card title="Serves">
          {active ? (
            <Facts
              facts={[
                [
                  'Release',
                  <span key="release">
                    <span className="font-semibold tabular">v{active.release_number}</span>
                    {active.commit ? <span className="text-muted"> · {active.commit}</span> : null}
                  </span>,
                ],
                [
                  'Since',
                  <span key="since">
                    <Time at={active.since} />,{' '}
                    <Link {...to.deployment(active.deployment)} className="text-accent hover:underline">
                      its deployment
                    </Link>
                  </span>,
                ],
                [
                  'Answers at',
                  <span key="urls" className="flex flex-col">
                    {environment.urls.map((url) => (
                      <a key={url} href={url} target="_blank" rel="noreferrer" className="touch inline-flex items-center gap-1.5 py-0.5 break-all text-accent hover:underline">
                        {url} <ExternalLink className="size-3.5 shrink-0" aria-hidden />
                      </a>
                    ))}
                  </span>,
                ],
                ['Machine', <span key="host" className="text-sm break-all text-muted">{environment.host}</span>],
              ]}
            />
          ) : (
            <p className="text-muted">Nothing yet. The first deployment that succeeds serves.</p>
          )}
        </Card>
        <Instances instances={instances} />
      </div>
      {active ? <TrafficCard app={app.name} environment={name} live /> : null}
      <SmokeTests environment={environment} />
      {instances.length > 0 ? <Log app={app.name} environment={name} /> : null}
      <Card
        title="Last deployments"
        flush
        aside={
          <Link {...to.deployments({ app: app.name, environment: name })} className="touch inline-flex items-center text-sm text-accent hover:underline">
            All of them
          </Link>
        }
      >
        <Loaded query={latest}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="Not deployed yet" />
            ) : (
              <DeploymentList deployments={items} label={`Last deployments to ${name}`} app={app.name} environment={name} serving={serving} />
            )
          }
        </Loaded>
      </Card>
      <Policy app={app.name} environment={name} />
      <Variables app={app.name} environment={name} />
    </Page>
  )
}

function Log({ app, environment }: { app: string; environment: string }) {
  const { store, state } = useLogs(app, environment)
  return (
    <Card title="Log" flush className="overflow-hidden">
      <LogView store={store} state={state} label={`Log of ${app} / ${environment}`} empty="Its processes have printed nothing yet." />
    </Card>
  )
}

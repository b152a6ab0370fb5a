import { useQuery } from '@tanstack/react-query'
import { Link, createFileRoute } from '@tanstack/react-router'
import { Settings, Users } from 'lucide-react'
import { app as appQuery, deployments, releases } from '@/api/queries'
import type { AppDetail } from '@/api/schema'
import { DeployButton } from '@/features/deploy/deploy'
import { SourceWords } from '@/features/deploy/source'
import { DeploymentList } from '@/features/deployment/list'
import { EnvironmentCard } from '@/features/environment/card'
import { ReleaseList } from '@/features/environment/releases'
import { to } from '@/paths'
import { ButtonLink } from '@/ui/button'
import { Card } from '@/ui/card'
import { CodeBlock } from '@/ui/code'
import { Page } from '@/ui/page'
import { Empty, Loaded } from '@/ui/states'

export const Route = createFileRoute('/_app/apps/$app/')({
  loader: ({ context, params }) => void context.client.prefetchQuery(appQuery(params.app)),
  component: AppPage,
})

function AppPage() {
  const { app: name } = Route.useParams()
  const query = useQuery(appQuery(name))
  return (
    <Loaded query={query} title={name}>
      {(app) => <Shown app={app} />}
    </Loaded>
  )
}

function Shown({ app }: { app: AppDetail }) {
  const latest = useQuery(deployments({ app: app.name, limit: 10 }))
  const versions = useQuery(releases(app.name, { limit: 8 }))
  const serving = new Set(app.environments.flatMap(({ active }) => (active ? [active.deployment] : [])))
  const working = app.environments.some(({ in_progress }) => in_progress.length > 0)
  return (
    <Page
      title={app.name}
      mood={working ? 'running' : undefined}
      trail={[{ word: 'Overview', link: to.overview() }]}
      actions={
        <>
          <ButtonLink {...to.members(app.name)}>
            <Users aria-hidden /> Members
          </ButtonLink>
          <ButtonLink {...to.appSettings(app.name)}>
            <Settings aria-hidden /> Settings
          </ButtonLink>
        </>
      }
      lead={app.source ? <SourceWords source={app.source} /> : 'No source of its own: each deployment brings one.'}
    >
      {app.environments.length === 0 ? (
        <Card>
          <Empty title="No environment yet" actions={<DeployButton app={app} environment="production" look="primary" />}>
            The first deployment makes one.
          </Empty>
        </Card>
      ) : (
        <div className="grid items-stretch gap-4 sm:grid-cols-2 xl:grid-cols-3">
          {app.environments.map((environment) => (
            <EnvironmentCard key={environment.id} app={app} environment={environment} />
          ))}
        </div>
      )}
      <Card
        title="Last deployments"
        flush
        aside={
          <Link {...to.deployments({ app: app.name })} className="touch inline-flex items-center text-sm text-accent hover:underline">
            All of them
          </Link>
        }
      >
        <Loaded query={latest}>
          {({ items }) =>
            items.length === 0 ? (
              <Empty title="Not deployed yet">
                <p className="mb-3">From the folder of its source:</p>
                <CodeBlock label="Command that deploys this app" text={`plimsoll deploy ${app.name}`} className="text-left" />
              </Empty>
            ) : (
              <DeploymentList deployments={items} label={`Last deployments of ${app.name}`} app={app.name} serving={serving} />
            )
          }
        </Loaded>
      </Card>
      <Card
        title="Releases"
        flush
        aside={
          <Link {...to.releases(app.name)} className="touch inline-flex items-center text-sm text-accent hover:underline">
            All releases
          </Link>
        }
      >
        <Loaded query={versions}>{({ items }) => <ReleaseList releases={items} />}</Loaded>
      </Card>
    </Page>
  )
}

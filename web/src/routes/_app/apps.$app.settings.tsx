import { useQuery } from '@tanstack/react-query'
import { createFileRoute } from '@tanstack/react-router'
import { app as appQuery } from '@/api/queries'
import type { AppDetail } from '@/api/schema'
import { ConcurrencyCard } from '@/features/app/concurrency'
import { DeleteApp } from '@/features/app/delete'
import { Environments } from '@/features/app/environments'
import { SourceCard } from '@/features/app/source'
import { Retention } from '@/features/settings/retention'
import { Stalls } from '@/features/settings/stalls'
import { to } from '@/paths'
import { Page } from '@/ui/page'
import { Loaded } from '@/ui/states'

export const Route = createFileRoute('/_app/apps/$app/settings')({
  loader: ({ context, params }) => void context.client.prefetchQuery(appQuery(params.app)),
  component: AppSettings,
})

function AppSettings() {
  const { app: name } = Route.useParams()
  const query = useQuery(appQuery(name))
  return (
    <Loaded query={query} title="Settings">
      {(app) => <Shown app={app} />}
    </Loaded>
  )
}

function Shown({ app }: { app: AppDetail }) {
  return (
    <Page title="Settings" trail={[{ word: app.name, link: to.app(app.name) }]} lead={`How ${app.name} is set up, for all who work on it.`}>
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <SourceCard app={app} />
        <ConcurrencyCard app={app} />
      </div>
      <Environments app={app} />
      <div className="grid items-start gap-4 lg:grid-cols-2">
        <Retention app={app.name} />
        <Stalls app={app.name} />
      </div>
      <DeleteApp app={app} />
    </Page>
  )
}

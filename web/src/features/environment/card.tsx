import { Link } from '@tanstack/react-router'
import { ExternalLink } from 'lucide-react'
import type { AppDetail, Environment } from '@/api/schema'
import { DeployButton } from '@/features/deploy/deploy'
import { PromoteButton } from '@/features/promotion/promote'
import { to } from '@/paths'
import { Status, healthOf } from '@/ui/status'
import { Time } from '@/ui/time'
import { WorkingNow } from './working'

/** One environment beside others. */
export function EnvironmentCard({ app, environment }: { app: AppDetail; environment: Environment }) {
  const { active, urls, instances, name } = environment
  return (
    <section aria-label={name} className="flex flex-col gap-3 rounded-lg border border-line bg-surface p-4">
      <div className="flex items-center justify-between gap-3">
        <h2 className="min-w-0 text-lg font-semibold">
          <Link {...to.environment(app.name, name)} className="touch hover:underline">
            {name}
          </Link>
        </h2>
        <Status standing={healthOf(instances, Boolean(active))} badge />
      </div>
      <div className="grow">
        {active ? (
          <p>
            <span className="text-xl font-semibold tabular">v{active.release_number}</span>
            <span className="text-muted">
              {active.commit ? ` · ${active.commit}` : ''} · <Time at={active.since} />
            </span>
          </p>
        ) : (
          <p className="text-muted">Nothing was deployed here yet.</p>
        )}
        {urls.map((url) => (
          <a key={url} href={url} target="_blank" rel="noreferrer" className="touch flex items-center gap-1.5 py-0.5 text-sm break-all text-accent hover:underline">
            {url} <ExternalLink className="size-3.5 shrink-0" aria-hidden />
          </a>
        ))}
      </div>
      <WorkingNow environment={environment} />
      <div className="flex flex-wrap gap-2">
        <DeployButton app={app} environment={name} size="sm" />
        {app.environments.length > 1 ? <PromoteButton app={app} from={name} size="sm" /> : null}
      </div>
    </section>
  )
}

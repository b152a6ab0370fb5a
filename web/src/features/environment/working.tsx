import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { deployment } from '@/api/queries'
import type { Environment } from '@/api/schema'
import { nameOf } from '@/features/deployment/words'
import { to } from '@/paths'
import { plural } from '@/ui/format'
import { Progress } from '@/ui/progress'
import { Status, standingOf } from '@/ui/status'

/** What goes on in an environment, if anything does. */
export function WorkingNow({ environment }: { environment: Environment }) {
  const [first, ...others] = environment.in_progress
  if (first === undefined) return null
  return (
    <div className="rounded-md border border-line bg-sunken/50 px-3 py-2">
      <One id={first} />
      {others.length > 0 ? <p className="mt-1 text-sm text-muted">and {plural(others.length, 'deployment')} behind it</p> : null}
    </div>
  )
}

function One({ id }: { id: string }) {
  const { data } = useQuery(deployment(id))
  if (!data) return null
  return (
    <>
      <div className="mb-1.5 flex flex-wrap items-center justify-between gap-x-3">
        <Link {...to.deployment(id)} className="touch inline-flex items-center font-medium hover:underline">
          {nameOf(data)}
        </Link>
        <Status standing={standingOf(data)} />
      </div>
      <Progress value={data.progress} label={`Progress of ${nameOf(data)}`} />
    </>
  )
}

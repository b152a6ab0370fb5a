// What happens when something is deleted, in words. Pure.
import type { AppDetail, Environment } from '@/api/schema'
import { plural } from '@/ui/format'

/** Why it can't be deleted now; nothing when it can. */
export function held(environments: Pick<Environment, 'name' | 'in_progress'>[]): string | undefined {
  const busy = environments.filter(({ in_progress: working }) => working.length > 0).map(({ name }) => name)
  return busy.length === 0 ? undefined : `A deployment to ${busy.join(', ')} has not ended: wait for it, or cancel it`
}

/** What ends with one environment. */
export function endOf({ name, active, urls, instances }: Pick<Environment, 'name' | 'active' | 'urls' | 'instances'>): string {
  if (!active) return `${name}, where nothing serves yet, is deleted.`
  const at = urls.length > 0 ? `${urls.join(', ')} ${urls.length === 1 ? 'answers' : 'answer'} no more` : 'it answers no more'
  const stop = instances.length > 0 ? `, and ${plural(instances.length, 'instance')} ${instances.length === 1 ? 'stops' : 'stop'}` : ''
  return `${name} serves v${active.release_number} now: ${at}${stop}.`
}

export const endsWithEnvironment = (environment: Environment): string[] => [
  endOf(environment),
  'Its variables are deleted and can’t be brought back.',
  'Releases of the app and its other environments stay.',
]

export const endsWithApp = (app: Pick<AppDetail, 'name' | 'environments'>): string[] => [
  ...app.environments.map(endOf),
  'All its releases, deployments, variables and logs are deleted and can’t be brought back.',
  `Roles at ${app.name} alone, its schedules and its rules end with it. The repository is not touched.`,
]

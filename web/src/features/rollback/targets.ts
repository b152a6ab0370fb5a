import type { Environment, ReleaseStatus } from '@/api/schema'

type Target = Pick<Environment, 'active' | 'name'>
type Of = Pick<ReleaseStatus, 'number' | 'files_gone_at' | 'served_in'>

/** The environments that can be taken to the release, or why there is none. Pure. */
export function targets<Place extends Target>(release: Of, environments: Place[]): Place[] | string {
  if (release.files_gone_at) return 'Its files are not kept any more: deploy its source again'
  const serving = environments.filter(({ active }) => active)
  if (serving.length === 0) return 'Nothing serves yet'
  const others = serving.filter(({ active }) => active?.release_number !== release.number)
  if (others.length === 0) return 'It serves already'
  const known = others.filter(({ name }) => release.served_in.includes(name))
  return known.length > 0 ? known : `It has never served in ${others.map(({ name }) => name).join(' or ')}: deploy or promote it there`
}

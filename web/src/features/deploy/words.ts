// A plan in words. Pure.
import type { Estimate, Plan, PlannedStart, Simulated, Touch } from '@/api/schema'
import { sentence } from '@/api/errors'
import { duration, plural } from '@/ui/format'

/** `about 42 s; nine of ten were done in 1 m 10 s`. */
export const estimated = ({ median_ms: half, p90_ms: most, samples }: Estimate): string =>
  `about ${duration(half)}; nine of ten were done in ${duration(most)} (${plural(samples, 'measurement')})`

/** What comes, from what: `A new release is made, in the place of v7.` */
export function headline({ release, live, kind, nothing_to_do: nothing }: Pick<Plan, 'release' | 'live' | 'kind' | 'nothing_to_do'>): string {
  if (nothing) return sentence(`nothing to do: ${nothing}`)
  const comes = release.number ? `v${release.number}, which is made already,` : 'A new release is made, and'
  const instead = live ? ` in the place of v${live.number}` : '; nothing serves there yet'
  return kind === 'rollback' ? `${comes} serves again${instead}.` : `${comes} serves${instead}.`
}

/** When it would begin, without the time itself. */
export function startsIn({ waiting_for: what, ahead }: PlannedStart): string {
  if (!what) return 'At once'
  return `It waits for ${what}${ahead > 0 ? `; ${plural(ahead, 'deployment')} before it in the queue` : ''}`
}

const CHANGES = { makes: 'Makes', uses: 'Uses', removes: 'Removes', switches: 'Switches' }

/** What a step touches. What stands between backticks is code. */
export function touched(touch: Touch): string {
  switch (touch.kind) {
    case 'command':
      return `Runs \`${touch.command}\`${touch.component ? ` of ${touch.component}` : ''}`
    case 'workspace':
      return `${CHANGES[touch.change]} the workspace`
    case 'claim':
      return `${CHANGES[touch.change]} the claim on the environment`
    case 'release_folder':
      return `${CHANGES[touch.change]} the release’s folder \`${touch.digest.slice(0, 12)}\``
    case 'instance':
      return `${CHANGES[touch.change]} the instance \`${touch.name}\``
    case 'route':
      return `${CHANGES[touch.change]} the route \`${touch.host}${touch.path}\` to ${touch.component}`
    case 'static_link':
      return `${CHANGES[touch.change]} the link to the files of ${touch.component}`
  }
}

/** Where a simulated run ends. */
export const ifItFails = ({ fails_at: stage }: Pick<Simulated, 'fails_at'>, word: (stage: string) => string): string =>
  stage ? `If “${word(stage)}” fails` : 'If all goes well'

/** `pull_source` as `Pull source`. */
export function stageWord(stage: string): string {
  const text = stage.replaceAll('_', ' ')
  return text.charAt(0).toUpperCase() + text.slice(1)
}

// The phases of a deployment as a bar: what is behind, what is now, what is ahead. Pure.
import type { Deployment, DeploymentKind, Phase, PhaseFigures } from '@/api/schema'
import { hasEnded } from '@/ui/status'

export interface Step {
  phase: Phase
  state: 'done' | 'now' | 'failed' | 'ahead'
  startedAt?: string
  finishedAt?: string
  /** How long it usually takes, in milliseconds. */
  usual?: number
}

const ORDER: Record<DeploymentKind, Phase[]> = {
  deploy: ['pulling_source', 'building', 'migrating', 'copying_files', 'creating_symlinks', 'updating_routes', 'health_check'],
  rollback: ['creating_symlinks', 'updating_routes', 'health_check'],
  promotion: ['migrating', 'copying_files', 'creating_symlinks', 'updating_routes', 'health_check'],
}

export function steps(deployment: Deployment, figures: PhaseFigures[] = []): Step[] {
  const usual = new Map(figures.map(({ phase, good }) => [phase, good.p50_ms ?? undefined]))
  const ended = hasEnded(deployment.phase)
  const broke = deployment.failure?.phase
  const behind = deployment.phases
    .filter(({ phase }) => phase !== 'queued' && !hasEnded(phase))
    .map(({ phase, started_at, finished_at }): Step => ({
      phase,
      state: broke === phase ? 'failed' : finished_at || ended ? 'done' : 'now',
      startedAt: started_at,
      finishedAt: finished_at ?? (ended ? (deployment.finished_at ?? undefined) : undefined),
      usual: usual.get(phase),
    }))
  if (ended) return behind
  const seen = new Set(behind.map(({ phase }) => phase))
  const order = ORDER[deployment.kind]
  const latest = Math.max(-1, ...behind.map(({ phase }) => order.indexOf(phase)))
  const ahead = order
    // What is skipped as a rule takes no time; only what was ever measured is promised, but for the first deployment.
    .filter((phase, index) => index > latest && !seen.has(phase) && (figures.length === 0 || usual.get(phase) !== undefined))
    .map((phase): Step => ({ phase, state: 'ahead', usual: usual.get(phase) }))
  return [...behind, ...ahead]
}

/** How long it probably still takes, in milliseconds; nothing while nobody knows. */
export function timeLeft(list: Step[], now: number): number | undefined {
  if (!list.some(({ state }) => state === 'now' || state === 'ahead')) return undefined
  if (list.some(({ state, usual }) => state === 'now' && usual === undefined)) return undefined
  return list.reduce((sum, { state, usual = 0, startedAt }) => {
    if (state === 'ahead') return sum + usual
    if (state !== 'now' || !startedAt) return sum
    return sum + Math.max(0, usual - (now - Date.parse(startedAt)))
  }, 0)
}

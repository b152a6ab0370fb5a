import {
  Ban,
  CircleCheck,
  CircleDashed,
  CircleHelp,
  CirclePause,
  CircleX,
  Clock,
  LoaderCircle,
  type LucideIcon,
  TriangleAlert,
  Undo2,
} from 'lucide-react'
import type { Deployment, InstanceStatus, Phase } from '@/api/schema'
import { cn } from './cn'
import { type Tone, ink, soft } from './tone'

export interface Standing {
  tone: Tone
  word: string
  icon: LucideIcon
  /** It is being worked on. */
  moving?: boolean
}

const PHASES: Record<Phase, Standing> = {
  queued: { tone: 'idle', word: 'Queued', icon: Clock },
  pulling_source: { tone: 'busy', word: 'Pulling source', icon: LoaderCircle, moving: true },
  building: { tone: 'busy', word: 'Building', icon: LoaderCircle, moving: true },
  backing_up: { tone: 'busy', word: 'Backing up', icon: LoaderCircle, moving: true },
  migrating: { tone: 'busy', word: 'Migrating', icon: LoaderCircle, moving: true },
  copying_files: { tone: 'busy', word: 'Copying files', icon: LoaderCircle, moving: true },
  creating_symlinks: { tone: 'busy', word: 'Linking', icon: LoaderCircle, moving: true },
  updating_routes: { tone: 'busy', word: 'Updating routes', icon: LoaderCircle, moving: true },
  health_check: { tone: 'busy', word: 'Health check', icon: LoaderCircle, moving: true },
  active: { tone: 'good', word: 'Active', icon: CircleCheck },
  failed: { tone: 'bad', word: 'Failed', icon: CircleX },
  cancelled: { tone: 'idle', word: 'Cancelled', icon: Ban },
  rolled_back: { tone: 'warn', word: 'Rolled back', icon: Undo2 },
}

/** What waits for its start. */
export const queued = PHASES.queued

export const phaseWord = (phase: Phase) => PHASES[phase].word
export const hasEnded = (phase: Phase) => ['active', 'failed', 'cancelled', 'rolled_back'].includes(phase)

/** What to say of a deployment. `serves` is false when a later one took its place: it succeeded, but is active no more. */
export function standingOf(
  deployment: Pick<Deployment, 'phase' | 'cancelling'> & { stuck?: string | boolean | null },
  serves?: boolean,
): Standing {
  // One that serves may be stuck in cleaning up.
  if (deployment.stuck) return { tone: 'bad', word: deployment.phase === 'active' ? 'Active, stuck' : 'Stuck', icon: CirclePause }
  if (deployment.cancelling && !hasEnded(deployment.phase)) {
    return { tone: 'warn', word: 'Cancelling', icon: LoaderCircle, moving: true }
  }
  if (deployment.phase === 'active' && serves === false) return { tone: 'idle', word: 'Succeeded', icon: CircleCheck }
  return PHASES[deployment.phase]
}

/** What to say of the processes of an environment, the worst first. */
export function healthOf(instances: InstanceStatus[], serves: boolean): Standing {
  const count = (...states: InstanceStatus['state'][]) => instances.filter(({ state }) => states.includes(state)).length
  const all = instances.length
  const some = (n: number) => (n === all ? '' : `${n} of ${all} `)
  if (!serves) return { tone: 'idle', word: 'Nothing serves', icon: CircleDashed }
  if (count('crash_loop')) return { tone: 'bad', word: `${some(count('crash_loop'))}Crash loop`.trim(), icon: CircleX }
  if (count('lost', 'stopped')) return { tone: 'bad', word: `${some(count('lost', 'stopped'))}Down`.trim(), icon: CircleX }
  if (count('backoff')) return { tone: 'warn', word: `${some(count('backoff'))}Restarting`.trim(), icon: TriangleAlert }
  if (count('starting')) return { tone: 'busy', word: 'Starting', icon: LoaderCircle, moving: true }
  return { tone: 'good', word: 'Healthy', icon: CircleCheck }
}

export const unknown: Standing = { tone: 'idle', word: 'Unknown', icon: CircleHelp }

/** Icon, word and colour. `badge` with a ground of its own, for what stands alone. */
export function Status({ standing, badge, className }: { standing: Standing; badge?: boolean; className?: string }) {
  const { tone, word, icon: Icon, moving } = standing
  return (
    <span
      className={cn(
        'inline-flex items-center gap-1.5 font-medium whitespace-nowrap',
        badge ? `rounded-full border py-0.5 pr-2.5 pl-2 text-sm ${soft[tone]}` : ink[tone],
        className,
      )}
    >
      <Icon className={cn('size-4 shrink-0', moving && Icon === LoaderCircle && 'animate-spin [animation-duration:1.6s]')} aria-hidden />
      {word}
    </span>
  )
}

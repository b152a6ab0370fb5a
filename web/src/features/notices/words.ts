// Notices and channels in words. Pure.
import { CircleCheck, CircleX, Clock, Info, type LucideIcon, TriangleAlert } from 'lucide-react'
import type { Channel, ChannelKind, DeliveryState, Level, Topic } from '@/api/schema'
import type { Standing } from '@/ui/status'
import type { Tone } from '@/ui/tone'

export const LEVELS: Record<Level, { tone: Tone; icon: LucideIcon; word: string }> = {
  failure: { tone: 'bad', icon: CircleX, word: 'Failure' },
  warning: { tone: 'warn', icon: TriangleAlert, word: 'Warning' },
  info: { tone: 'idle', icon: Info, word: 'Notice' },
  success: { tone: 'good', icon: CircleCheck, word: 'Success' },
}

/** What channels choose among, the worst first. */
const WORDS: Record<Exclude<Topic, 'test'>, string> = {
  deployment_stuck: 'A deployment is stuck',
  instance_crash_looping: 'An instance ends again and again',
  deployment_failed: 'A deployment failed',
  deployment_rolled_back: 'A deployment was taken back',
  deployment_stalled: 'A deployment makes no progress',
  deployment_recovered: 'A stalled deployment goes on',
  schedule_skipped: 'A schedule did not run',
  window_bypassed: 'A closed window was passed',
  approval_requested: 'A deployment waits for approval',
  approval_refused: 'A deployment was refused',
  approval_expired: 'A deployment was not approved in time',
  server_restored: 'The server was restored from a backup',
  deployment_cancelled: 'A deployment was cancelled',
  approval_approved: 'A deployment was approved',
  deployment_active: 'A deployment succeeded',
}

export const TOPICS = Object.keys(WORDS) as (keyof typeof WORDS)[]

export const topicWord = (topic: Topic) => (topic === 'test' ? 'Somebody tries the channel' : WORDS[topic])

/** What channels are told when nobody chooses: whatever somebody may have to look at. */
export const USUAL: Topic[] = [
  'deployment_stuck',
  'instance_crash_looping',
  'deployment_failed',
  'deployment_rolled_back',
  'deployment_stalled',
  'schedule_skipped',
  'window_bypassed',
  'approval_requested',
  'approval_refused',
  'approval_expired',
]

export const KINDS: Record<ChannelKind, string> = { slack: 'Slack', mail: 'Mail', webhook: 'Webhook' }

export function standingOfChannel({ enabled, failing_since: failing }: Pick<Channel, 'enabled' | 'failing_since'>): Standing {
  if (!enabled) return { tone: 'idle', word: 'Off', icon: Info }
  return failing ? { tone: 'bad', word: 'Nothing arrives', icon: CircleX } : { tone: 'good', word: 'On', icon: CircleCheck }
}

export const DELIVERIES: Record<DeliveryState, Standing> = {
  waiting: { tone: 'busy', word: 'Waits', icon: Clock },
  sent: { tone: 'good', word: 'Sent', icon: CircleCheck },
  failed: { tone: 'bad', word: 'Failed', icon: CircleX },
  dropped: { tone: 'idle', word: 'Dropped', icon: Info },
}

/** `a@example.org, b@example.org` as a list, without what is empty. */
export const listed = (text: string) =>
  text
    .split(/[,\n]/)
    .map((part) => part.trim())
    .filter(Boolean)

import { Ban, CircleCheck, CircleX, Hourglass } from 'lucide-react'
import type { ActorKind, AuditOutcome, Via } from '@/api/schema'
import type { Standing } from '@/ui/status'

export const outcomes: Record<AuditOutcome, Standing> = {
  done: { tone: 'good', word: 'Done', icon: CircleCheck },
  begun: { tone: 'busy', word: 'Begun', icon: Hourglass },
  failed: { tone: 'bad', word: 'Failed', icon: CircleX },
  refused: { tone: 'warn', word: 'Refused', icon: Ban },
}

export const kinds: Record<ActorKind, string> = {
  person: 'person',
  token: 'machine',
  agent: 'agent',
  schedule: 'schedule',
  system: 'the server',
}

/** Which way it came. */
export const doors: Record<Via, string> = {
  web: 'web',
  api: 'API',
  cli: 'command line',
  mcp: 'agent’s tools',
  tick: 'when its time came',
  local: 'on the server’s machine',
}

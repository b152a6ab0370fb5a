// Approvals in words. Pure.
import { Ban, CircleCheck, CircleX, Clock, Hourglass } from 'lucide-react'
import type { Approval, ApprovalState } from '@/api/schema'
import type { Standing } from '@/ui/status'

const STANDINGS: Record<ApprovalState, Standing> = {
  pending: { tone: 'warn', word: 'Waits for approval', icon: Hourglass },
  approved: { tone: 'good', word: 'Approved', icon: CircleCheck },
  refused: { tone: 'bad', word: 'Refused', icon: CircleX },
  expired: { tone: 'idle', word: 'Expired', icon: Clock },
  void: { tone: 'idle', word: 'Ended before', icon: Ban },
}

export const standingOfApproval = (state: ApprovalState) => STANDINGS[state]

/** What is asked: `Deploy to shop / production`. */
export function askedOf({ kind, deployment_kind: does, app, environment }: Pick<Approval, 'kind' | 'deployment_kind' | 'app' | 'environment'>): string {
  const place = `${app} / ${environment}`
  const what = does === 'rollback' ? `Roll back ${place}` : does === 'promotion' ? `Promote to ${place}` : `Deploy to ${place}`
  return kind === 'bypass' ? `${what}, past a closed window` : what
}

/** `1 of 2 people`. */
export const countOf = ({ got, required }: Pick<Approval, 'got' | 'required'>) => `${got} of ${required} ${required === 1 ? 'person' : 'people'}`

/** `1d` as `1 day`, `4h` as `4 hours`. */
export function lifetimeInWords(text: string): string {
  const found = /^(\d+)([mhdwy])$/.exec(text)
  if (!found) return text
  const [, count = '', unit = ''] = found
  const word = { m: 'minute', h: 'hour', d: 'day', w: 'week', y: 'year' }[unit] ?? unit
  return `${count} ${word}${count === '1' ? '' : 's'}`
}

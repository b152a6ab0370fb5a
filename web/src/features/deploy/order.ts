// What the dialog is filled in with, and the order that comes of it. Pure.
import type { DeploymentsDeployRequest, Priority } from '@/api/schema'
import type { Errors } from '@/ui/form'
import { type WallTime, meant, wrong } from '@/ui/instant-field'
import { metadataOf, tagsOf } from './labels'

export interface Wanted {
  reference: string
  priority: Priority
  not_before: WallTime
  /** Why it goes past a closed window; empty when it waits for it. */
  bypass_window: string
  tags: string
  metadata: string
  /** The plan that was looked at: exactly that is deployed. */
  plan: string
}

export const asUsual = (zone: string): Wanted => ({
  reference: '',
  priority: 'normal',
  not_before: { local: '', zone, later: false },
  bypass_window: '',
  tags: '',
  metadata: '',
  plan: '',
})

export const wrongIn = ({ not_before, metadata }: Wanted, now?: number): Errors<Wanted> => ({
  not_before: wrong(not_before, now),
  metadata: metadataOf(metadata).wrong,
})

export function orderOf({ reference, priority, not_before, bypass_window, tags, metadata, plan }: Wanted): DeploymentsDeployRequest {
  const order: DeploymentsDeployRequest = { priority }
  // A plan says itself what is deployed.
  if (plan !== '') order.plan = plan
  else if (reference.trim() !== '') order.reference = reference.trim()
  const at = meant(not_before)
  if (at !== undefined) order.not_before = at
  // Only a critical one may.
  if (priority === 'critical' && bypass_window.trim() !== '') order.bypass_window = bypass_window.trim()
  const named = tagsOf(tags)
  if (named.length > 0) order.tags = named
  const told = metadataOf(metadata).metadata
  if (Object.keys(told).length > 0) order.metadata = told
  return order
}

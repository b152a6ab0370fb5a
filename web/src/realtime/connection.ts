// Whether what one sees is live. One state for the whole page, shown in its header.
import { useSyncExternalStore } from 'react'

export type Connection =
  | { state: 'connecting' }
  | { state: 'connected' }
  | { state: 'offline'; since: Date }
  | { state: 'signed_out' }

let now: Connection = { state: 'connecting' }
const listeners = new Set<() => void>()

export function setConnection(next: Connection['state']): void {
  if (next === now.state) return
  // While it is away, "since" stays the moment at which it went.
  if (next === 'connecting' && now.state === 'offline') return
  now = next === 'offline' ? { state: next, since: new Date() } : { state: next }
  for (const listener of listeners) listener()
}

export const connection = () => now

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const useConnection = () => useSyncExternalStore(subscribe, connection)

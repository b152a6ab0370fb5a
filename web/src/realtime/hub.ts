// The event log as it happens: what an event makes old in the cache is asked for again.
import type { QueryClient, QueryKey } from '@tanstack/react-query'
import { useEffect } from 'react'
import { useQueryClient } from '@tanstack/react-query'
import { ApiError } from '@/api/errors'
import { me } from '@/api/queries'
import type { Event } from '@/api/schema'
import { setConnection } from './connection'
import { outdate } from './outdate'
import { type Ending, backoff } from './sse'
import { whoIs } from './tabs'
import { followAgain, followTopic, isSignedOut } from './topic'

/** Events come in bursts: one look for all of them. */
const GATHER = 150

/** The beginnings of the keys that an event makes old. Pure. */
export function touched(event: Pick<Event, 'kind' | 'app' | 'environment' | 'deployment'>): QueryKey[] {
  const keys: QueryKey[] = []
  const place = () => {
    keys.push(['overview'])
    if (event.app) keys.push(['apps', 'one', event.app])
    if (event.app && event.environment) keys.push(['environments', event.app, event.environment])
  }
  // What people are asked about is told by four kinds of events.
  if (event.kind.startsWith('approval_')) keys.push(['approvals'], ['queue'], ['deployments', 'list'], ['overview'])
  switch (event.kind) {
    case 'app_created':
    case 'app_deleted':
      keys.push(['apps'], ['overview'])
      break
    case 'environment_created':
    case 'environment_deleted':
      place()
      break
    case 'variables_changed':
      if (event.app && event.environment) keys.push(['variables', event.app, event.environment])
      break
    case 'phase_changed':
    case 'step_failed':
    case 'smoke_tested':
      keys.push(['deployments', 'list'], ['diagnosis'], ['overview'])
      break
    case 'release_created':
      if (event.app) keys.push(['releases', event.app])
      break
    case 'deployment_queued':
    case 'deployment_requeued':
    case 'deployment_finished':
    case 'deployment_stuck':
    case 'deployment_stalled':
    case 'deployment_recovered':
    case 'cancel_requested':
    case 'window_bypassed':
      place()
      keys.push(['deployments', 'list'], ['queue'], ['diagnosis'])
      if (event.kind === 'deployment_finished') keys.push(['figures'])
      if (event.kind === 'deployment_finished' && event.app) keys.push(['releases', event.app])
      break
    case 'queue_configured':
      place()
      keys.push(['queue'])
      break
    case 'schedule_created':
    case 'schedule_changed':
    case 'schedule_deleted':
    case 'schedule_skipped':
      keys.push(['schedules'], ['queue'])
      break
    case 'window_created':
    case 'window_deleted':
      keys.push(['windows'], ['queue'])
      break
    case 'instance_crash_looping':
    case 'instance_restarted':
      place()
      break
    case 'certificate_added':
    case 'certificate_removed':
      keys.push(['certificates'], ['overview'])
      break
    case 'token_created':
    case 'token_revoked':
      keys.push(['tokens'])
      break
    case 'server_started':
    case 'server_restored':
      // Another version has other guides.
      keys.push(['server'], ['guides'])
      break
    default:
      break
  }
  if (event.deployment) keys.push(['deployments', 'one', event.deployment])
  return keys
}

interface Options {
  signal: AbortSignal
  /** Whose page it is. */
  person?: string
  /** Somebody else is signed in by now: nothing of this page is theirs. */
  onOther(): void
  onEvent?(event: Event): void
}

/** Follows the events as long as the tab is looked at. Ends when the session does, and goes on when the same person signs in again. */
export function followEvents(client: QueryClient, { signal, person, onOther, onEvent }: Options): void {
  let newest = 0
  let old = new Map<string, QueryKey>()
  let gathering: ReturnType<typeof setTimeout> | undefined
  let attempt = 0
  let leave = () => {}

  const flush = () => {
    gathering = undefined
    const keys = [...old.values()]
    old = new Map()
    for (const queryKey of keys) outdate(client, queryKey)
  }
  const begin = () => {
    leave = followTopic('events', {
      onState: (state, fresh) => {
        setConnection(state === 'connected' ? 'connected' : state === 'waiting' ? 'offline' : 'connecting')
        if (state !== 'connected') return
        attempt = 0
        // Without a place nobody tells what happened meanwhile.
        if (fresh) outdate(client)
        // What failed while the server was away is there now.
        else void client.refetchQueries({ type: 'active', predicate: ({ state: { status } }) => status === 'error' })
      },
      onMessage: (data) => {
        const event = data as Event
        // Another page may have wanted to hear of it again. After a restore the numbers begin anew, further back.
        const restored = event.kind === 'server_restored'
        if (event.cursor <= newest && !restored) return
        newest = event.cursor
        if (restored) outdate(client)
        for (const key of touched(event)) old.set(JSON.stringify(key), key)
        gathering ??= setTimeout(flush, GATHER)
        onEvent?.(event)
      },
      onEnd: (ending) => void comeBack(ending),
    })
  }
  // Who one is decides what follows: that question leads to the sign-in page if the session is over.
  const comeBack = async (ending: Ending): Promise<void> => {
    const over = isSignedOut(ending)
    setConnection(over ? 'signed_out' : 'offline')
    attempt += 1
    await new Promise((resolve) => setTimeout(resolve, backoff(attempt, Math.random())))
    if (signal.aborted) return
    try {
      const { principal } = await client.fetchQuery({ ...me(), staleTime: 0 })
      if (signal.aborted) return
      if (person !== undefined && principal !== person) onOther()
      else if (over) followAgain()
      else begin()
    } catch (error) {
      if (!signal.aborted && !(error instanceof ApiError && error.status === 401)) void comeBack(ending)
    }
  }
  begin()
  signal.addEventListener('abort', () => {
    clearTimeout(gathering)
    leave()
  })
}

/** For the layout: live as long as it is shown. */
export function useEvents(): void {
  const client = useQueryClient()
  useEffect(() => {
    const controller = new AbortController()
    // Loaded anew: nothing that was shown, cached or half written is the other person's.
    followEvents(client, { signal: controller.signal, person: whoIs(), onOther: () => location.reload() })
    return () => controller.abort()
  }, [client])
}

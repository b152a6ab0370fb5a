// What a person chose for themselves: kept here for pages that need it before the server was asked.
import { useSyncExternalStore } from 'react'

export type Theme = 'system' | 'light' | 'dark'

export interface Preferences {
  theme: Theme
  /** An IANA time zone; the browser's without one. */
  zone?: string
}

const listeners = new Set<() => void>()
let now = load()

function load(): Preferences {
  try {
    const theme = localStorage.getItem('plimsoll.theme')
    const zone = localStorage.getItem('plimsoll.zone') ?? undefined
    return { theme: theme === 'light' || theme === 'dark' ? theme : 'system', zone }
  } catch {
    // Private windows of some browsers keep nothing.
    return { theme: 'system' }
  }
}

export function setPreferences(change: Partial<Preferences>): void {
  now = { ...now, ...change }
  try {
    if (now.theme === 'system') localStorage.removeItem('plimsoll.theme')
    else localStorage.setItem('plimsoll.theme', now.theme)
    if (now.zone) localStorage.setItem('plimsoll.zone', now.zone)
    else localStorage.removeItem('plimsoll.zone')
  } catch {
    // It holds for this page at least.
  }
  dispatchEvent(new Event('plimsoll:theme'))
  for (const listener of listeners) listener()
}

/** What was chosen in another browser counts where nothing was chosen yet. */
export function adoptPreferences(kept: { theme?: 'light' | 'dark' | null; zone?: string | null } | null | undefined): void {
  const zone = now.zone ?? (kept?.zone && isZone(kept.zone) ? kept.zone : undefined)
  const theme = now.theme === 'system' ? (kept?.theme ?? 'system') : now.theme
  if (theme !== now.theme || zone !== now.zone) setPreferences({ theme, zone })
}

/** Whether this browser knows the zone: the server may know more of them. */
function isZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== ''
  } catch {
    return false
  }
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener)
  return () => listeners.delete(listener)
}

export const usePreferences = () => useSyncExternalStore(subscribe, () => now)

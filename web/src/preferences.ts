// What a person chose for themselves: kept here for pages that need it before the server was asked.
import { useSyncExternalStore } from 'react'
import { zoneOfBrowser } from './ui/zones'

export type Theme = 'system' | 'light' | 'dark'

export interface Preferences {
  theme: Theme
  /** An IANA time zone; the browser's without one. */
  zone?: string
}

const listeners = new Set<() => void>()
/** In this browser; what a person chose in another one counts where nothing was chosen here, and never becomes a choice of this one. */
let chosen = load()
let adopted: Partial<Preferences> = {}
let now = chosen

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

function keep(): void {
  try {
    if (chosen.theme === 'system') localStorage.removeItem('plimsoll.theme')
    else localStorage.setItem('plimsoll.theme', chosen.theme)
    if (chosen.zone) localStorage.setItem('plimsoll.zone', chosen.zone)
    else localStorage.removeItem('plimsoll.zone')
    // For the first paint of the next page, which comes before the server is asked.
    if (adopted.theme) localStorage.setItem('plimsoll.adopted', adopted.theme)
    else localStorage.removeItem('plimsoll.adopted')
  } catch {
    // It holds for this page at least.
  }
}

function show(): void {
  keep()
  const next: Preferences = { theme: chosen.theme === 'system' ? (adopted.theme ?? 'system') : chosen.theme, zone: chosen.zone ?? adopted.zone }
  if (next.theme === now.theme && next.zone === now.zone) return
  now = next
  dispatchEvent(new Event('plimsoll:theme'))
  for (const listener of listeners) listener()
}

export function setPreferences(change: Partial<Preferences>): void {
  chosen = { ...chosen, ...change }
  // What was taken over is what was chosen before, elsewhere.
  for (const name of Object.keys(change) as (keyof Preferences)[]) delete adopted[name]
  show()
}

/** What was chosen in another browser counts where nothing was chosen yet. */
export function adoptPreferences(kept: { theme?: 'light' | 'dark' | null; zone?: string | null } | null | undefined): void {
  adopted = { theme: kept?.theme ?? undefined, zone: kept?.zone && isZone(kept.zone) ? kept.zone : undefined }
  show()
}

/** Whoever signs in next has chosen nothing. */
export function forgetPreferences(): void {
  adopted = {}
  setPreferences({ theme: 'system', zone: undefined })
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

/** Whether single letters do something: who speaks to the browser, or rests a hand on the keys, switches them off. */
export const keysWork = () => {
  try {
    return localStorage.getItem('plimsoll.keys') !== 'off'
  } catch {
    return true
  }
}

export function letKeysWork(work: boolean): void {
  try {
    if (work) localStorage.removeItem('plimsoll.keys')
    else localStorage.setItem('plimsoll.keys', 'off')
  } catch {
    // Private windows of some browsers keep nothing.
  }
}

export const usePreferences = () => useSyncExternalStore(subscribe, () => now)

/** The zone in which times are shown and meant: the one that was chosen, or the browser's. */
export const useHome = () => usePreferences().zone ?? zoneOfBrowser()

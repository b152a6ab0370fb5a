// What tabs of one browser say to each other: they share a cookie, and so the person.
type Said = { person: string | null }

const channel = typeof BroadcastChannel === 'function' ? new BroadcastChannel('plimsoll') : undefined
/** Whom this tab shows; nothing while nobody is signed in. */
let shown: string | null | undefined

/** This tab has found out who is signed in. Others that show somebody else hear of it. */
export function nowIs(person: string | null): void {
  if (person === shown) return
  shown = person
  // No window: it has no origin to be named.
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  channel?.postMessage({ person } satisfies Said)
}

/** Whom this tab shows, as far as it knows. */
export const whoIs = () => shown ?? undefined

/** `changed` when another tab has found somebody else. */
export function hearTabs(changed: (person: string | null) => void): () => void {
  const hear = ({ data: { person } }: MessageEvent<Said>) => {
    if (shown !== undefined && person !== shown) changed(person)
  }
  channel?.addEventListener('message', hear)
  return () => channel?.removeEventListener('message', hear)
}

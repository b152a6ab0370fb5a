// The ways to the other pages of a list that goes on: from the beginning, and further.
import { Button } from './button'

interface Props {
  /** Where this page begins; nothing on the first one. */
  cursor?: string
  /** Where the next one begins, if there is one. */
  next?: string | null
  /** Nothing leads to the first page. */
  go(cursor: string | undefined): void
  first: string
  more: string
  busy?: boolean
}

export function Pager({ cursor, next, go, first, more, busy }: Props) {
  if (!next && !cursor) return null
  return (
    <div className="flex justify-between gap-3 border-t border-line p-3">
      {cursor ? (
        <Button size="sm" onClick={() => go(undefined)}>
          {first}
        </Button>
      ) : (
        <span />
      )}
      {next ? (
        <Button size="sm" busy={busy} onClick={() => go(next)}>
          {more}
        </Button>
      ) : null}
    </div>
  )
}

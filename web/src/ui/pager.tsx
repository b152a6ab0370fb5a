import { Button } from './button'

interface Props {
  /** The cursor of the page that is shown; nothing on the first one. */
  at?: string
  next?: string | null
  go(cursor: string | undefined): void
  /** What leads to the first page and further, where it is no list whose newest come first. */
  first?: string
  more?: string
  /** The next page is on its way. */
  busy?: boolean
}

/** Below a list that goes on. */
export const Pager = ({ at, next, go, first = 'The newest', more = 'Older ones', busy }: Props) =>
  next || at ? (
    <div className="flex justify-between gap-3 border-t border-line p-3">
      {at ? (
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
  ) : null

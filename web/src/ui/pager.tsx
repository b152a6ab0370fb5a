import { Button } from './button'

interface Props {
  /** The cursor of the page that is shown; nothing on the first one. */
  at?: string
  next?: string | null
  go(cursor: string | undefined): void
}

/** Below a list whose newest come first. */
export const Pager = ({ at, next, go }: Props) =>
  next || at ? (
    <div className="flex justify-between border-t border-line p-3">
      {at ? (
        <Button size="sm" onClick={() => go(undefined)}>
          The newest
        </Button>
      ) : (
        <span />
      )}
      {next ? (
        <Button size="sm" onClick={() => go(next)}>
          Older ones
        </Button>
      ) : null}
    </div>
  ) : null

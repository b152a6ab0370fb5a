// What a cron expression means, while it is typed: the server's words for it, and its next runs in both clocks.
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { explain, inOneLine, sentence } from '@/api/errors'
import { cronPreview } from '@/api/queries'
import type { Previewed } from '@/api/schema'
import { cn } from '@/ui/cn'
import { Note } from '@/ui/note'
import { Skeleton } from '@/ui/states'
import { useSettled } from '@/ui/use-settled'

/** So long nobody types. */
const PAUSE = 350

export interface Preview {
  found?: Previewed
  /** Why it is none. */
  error?: string
  /** What is shown is of an expression before. */
  old: boolean
}

/** Of a whole expression; nothing is asked without one. `zone` is the reader's. */
export function usePreview(cron: string | undefined, zone: string): Preview {
  const settled = useSettled(cron, PAUSE)
  const { data, error, isPlaceholderData: old } = useQuery({
    ...cronPreview(settled ?? '', zone),
    enabled: settled !== undefined,
    placeholderData: keepPreviousData,
  })
  if (cron === undefined || settled === undefined) return { old: true }
  // What is wrong with an expression before says nothing of this one.
  return { found: data, error: error && settled === cron ? inOneLine(explain(error)) : undefined, old: old || settled !== cron }
}

/** `told`: the error stands at the field already. */
export function NextRuns({ preview: { found, error, old }, zone, home, told }: { preview: Preview; zone: string; home: string; told: boolean }) {
  if (error !== undefined) return told ? null : <Note tone="bad" title={error} />
  if (!found) return old ? null : <Skeleton lines={6} className="rounded-md border border-line px-3" />
  const both = zone !== home
  return (
    <div className={cn('rounded-md border border-line bg-sunken px-3 py-2.5 text-sm transition-opacity', old && 'opacity-60')}>
      <p role="status" className="font-medium">
        {sentence(found.words)}
      </p>
      {found.runs.length === 0 ? (
        <p>No day is like that: it never runs.</p>
      ) : (
        <table className="mt-1.5 w-full table-fixed text-left max-sm:text-xs">
          <caption className="sr-only">Next runs</caption>
          <thead>
            <tr className="align-bottom text-xs text-muted">
              <th scope="col" className="pb-1 font-normal break-words">
                Next in {zone}
              </th>
              {both ? (
                <th scope="col" className="pb-1 pl-3 font-normal break-words">
                  Where you are, in {home}
                </th>
              ) : null}
            </tr>
          </thead>
          <tbody>
            {found.runs.map(({ at, there, here }) => (
              <tr key={at} className="tabular">
                <td className="py-0.5">{there}</td>
                {both ? <td className="py-0.5 pl-3 text-muted">{here}</td> : null}
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  )
}

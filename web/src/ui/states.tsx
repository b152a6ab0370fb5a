// What a page shows while it has nothing to show: not yet, nothing there, not possible.
import { type QueryClient, type UseQueryResult, useQueryClient } from '@tanstack/react-query'
import { type ReactNode, useEffect, useState } from 'react'
import { ApiError, NetworkError, explain, willPass } from '@/api/errors'
import { Button } from './button'
import { cn } from './cn'
import { Code } from './code'
import { Note } from './note'
import { Page } from './page'
import { Words } from './words'

/** Grey bars in the place of text. Appear after 150 ms, so that what is quick does not flicker. */
export function Skeleton({ lines = 3, className }: { lines?: number; className?: string }) {
  const [late, setLate] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 150)
    return () => clearTimeout(timer)
  }, [])
  return (
    <div role="status" aria-label="Loading" className={cn('flex flex-col gap-2.5 py-1', className)}>
      {late
        ? Array.from({ length: lines }, (_, line) => (
            <div key={line} className={cn('h-4 animate-pulse-soft rounded bg-sunken', ['w-3/4', 'w-1/2', 'w-2/3'][line % 3])} />
          ))
        : null}
    </div>
  )
}

/** Nothing is there: why, and what the next step is. */
export function Empty({ title, children, actions }: { title: string; children?: ReactNode; actions?: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-1 px-4 py-8 text-center">
      <p className="font-medium">{title}</p>
      {children ? <div className="max-w-prose text-sm text-muted">{children}</div> : null}
      {actions ? <div className="mt-3 flex flex-wrap justify-center gap-2">{actions}</div> : null}
    </div>
  )
}

/** What could not be shown: what went wrong, what to do, another try, and the id by which the log knows it. */
export function Failed({ error, retry, className }: { error: unknown; retry?(): void; className?: string }) {
  const { title, detail, hint: said, request } = explain(error)
  const hint = error instanceof NetworkError || (said === undefined && willPass(error)) ? 'This page tries again by itself.' : said
  return (
    <Note
      tone="bad"
      urgent
      className={className}
      title={<Words text={detail === '' ? title : detail} />}
      actions={
        retry ? (
          <Button size="sm" onClick={retry}>
            Try again
          </Button>
        ) : undefined
      }
    >
      {hint ? (
        <p>
          <Words text={hint} />
        </p>
      ) : null}
      {request ? (
        <p className="mt-1 text-xs text-muted">
          Request <Code>{request}</Code>
        </p>
      ) : null}
    </Note>
  )
}

interface Props<Data> {
  query: UseQueryResult<Data>
  children(data: Data): ReactNode
  /** The page's title, where the whole page hangs on the question: it has one while there is nothing to show, too. */
  title?: string
}

/**
 * A page's part that hangs on one question: a skeleton, then an error, or what came. What came once stays when a later try
 * fails; the connection in the header says that it is not fresh.
 */
export function Loaded<Data>({ query, children, title }: Props<Data>) {
  const client = useQueryClient()
  if (query.data !== undefined && !(query.error instanceof ApiError && query.error.is('not_found'))) return children(query.data)
  const instead = query.error ? <Failed error={query.error} retry={() => void retryAll(client, query)} /> : <Skeleton />
  return title === undefined ? instead : <Page title={title}>{instead}</Page>
}

/** What failed together is tried together. */
async function retryAll<Data>(client: QueryClient, query: UseQueryResult<Data>): Promise<void> {
  await query.refetch()
  await client.refetchQueries({ predicate: ({ state }) => state.status === 'error', type: 'active' })
}

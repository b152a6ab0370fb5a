import type { Source } from '@/api/schema'
import { Code } from '@/ui/code'

/** Where the source comes from, in words. */
export function SourceWords({ source }: { source: Source }) {
  switch (source.kind) {
    case 'git':
      return (
        <>
          From <Code>{source.url}</Code>
          {source.reference ? (
            <>
              {' '}
              at <Code>{source.reference}</Code>
            </>
          ) : null}
        </>
      )
    case 'directory':
      return (
        <>
          From the folder <Code>{source.path}</Code> of the server’s machine
        </>
      )
    case 'archive':
      return (
        <>
          From the upload <Code>{source.upload}</Code>
        </>
      )
  }
}

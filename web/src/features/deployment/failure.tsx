import { useLayoutEffect, useRef } from 'react'
import type { Failure } from '@/api/schema'
import { plain } from '@/logs/ansi'
import { sentence } from '@/api/errors'
import { Note } from '@/ui/note'
import { Words } from '@/ui/words'
import { phaseWord } from '@/ui/status'

/** Why it failed: the reason large, the last lines of what it printed, and what to do. Nothing to click first. */
export function FailureNote({ failure }: { failure: Failure }) {
  return (
    <Note tone="bad" title={<span className="text-lg"><Words text={sentence(failure.message)} /></span>}>
      <p className="text-muted">
        In the phase {phaseWord(failure.phase).toLowerCase()}. <Words text={sentence(failure.hint)} />
      </p>
      {failure.output && failure.output.length > 0 ? (
        <Output text={failure.output.map(plain).join('\n')} />
      ) : null}
      {failure.smoke_tests && failure.smoke_tests.length > 0 ? (
        <ul className="mt-2.5 flex flex-col gap-1">
          {failure.smoke_tests.map((test) => (
            <li key={`${test.component} ${test.name} ${test.moment}`}>
              <strong className="font-medium">{test.name}</strong> of {test.component}:{' '}
              {'expected' in test ? `expected ${test.expected}, got ${test.got}` : 'reason' in test ? `skipped, ${test.reason}` : test.outcome}
            </li>
          ))}
        </ul>
      ) : null}
    </Note>
  )
}

/** Its last line is the one that tells most: it is seen at first, and whoever reads further up stays there. */
function Output({ text }: { text: string }) {
  const box = useRef<HTMLPreElement>(null)
  useLayoutEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight
  }, [text])
  return (
    <pre
      ref={box}
      // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex
      tabIndex={0}
      aria-label="The last lines of its output"
      className="mt-2.5 max-h-80 overflow-auto rounded-md border border-line bg-log px-3 py-2 text-sm leading-5 whitespace-pre-wrap text-text"
    >
      {text}
    </pre>
  )
}

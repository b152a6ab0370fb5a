import { useQuery } from '@tanstack/react-query'
import { Link, useNavigate } from '@tanstack/react-router'
import { useDeferredValue, useState } from 'react'
import { guideSearch } from '@/api/queries'
import { to } from '@/paths'
import { Card } from '@/ui/card'
import { Field, Input } from '@/ui/field'
import { plural } from '@/ui/format'
import { Empty, Loaded } from '@/ui/states'

/** Longer questions the server does not take. */
const MOST = 128

/** The words that are looked for are in the address of the contents; from a guide one gets there with them. */
export function SearchField({ words, change }: { words: string; change?(words: string): void }) {
  const navigate = useNavigate()
  const [typed, setTyped] = useState(words)
  const [seen, setSeen] = useState(words)
  if (seen !== words) {
    setSeen(words)
    // What is being typed is ahead of the address.
    if (typed.trim() !== words) setTyped(words)
  }
  return (
    <form
      role="search"
      aria-label="Search the guides"
      className="max-w-md"
      onSubmit={(event) => {
        event.preventDefault()
        if (!change) void navigate(to.guides(typed.trim()))
      }}
    >
      <Field label="Search the guides">
        <Input
          type="search"
          value={typed}
          maxLength={MOST}
          placeholder="health check, rollback, backup …"
          autoComplete="off"
          spellCheck={false}
          onChange={(event) => {
            setTyped(event.target.value)
            change?.(event.target.value.trim())
          }}
        />
      </Field>
    </form>
  )
}

export function Found({ words }: { words: string }) {
  const asked = useDeferredValue(words)
  const query = useQuery({ ...guideSearch(asked), placeholderData: (before) => before })
  return (
    <Card title="Found" flush aside={<span aria-live="polite" className="text-sm text-muted">{query.data ? plural(query.data.length, 'section') : ''}</span>}>
      <Loaded query={query}>
        {(hits) =>
          hits.length === 0 ? (
            <Empty title="No section has all of these words">The beginning of a word is enough; fewer words find more.</Empty>
          ) : (
            <ol>
              {hits.map(({ page, guide, section, title, excerpt }) => (
                <li key={`${page}#${section}`} className="relative border-t border-line px-4 py-2.5 hover:bg-hover/60">
                  <Link {...to.guide(page, section)} className="font-medium before:absolute before:inset-0 hover:underline">
                    {title}
                  </Link>
                  <span className="text-sm text-muted"> · {guide}</span>
                  <p className="text-sm text-muted">{excerpt}</p>
                </li>
              ))}
            </ol>
          )
        }
      </Loaded>
    </Card>
  )
}

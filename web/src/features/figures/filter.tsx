import { useQuery } from '@tanstack/react-query'
import { overview } from '@/api/queries'
import { Select } from '@/ui/field'
import { type FiguresSearch, RANGES, USUAL } from './search'

/** Whose figures, and how far back. */
export function Filter({ search, change }: { search: FiguresSearch; change(to: FiguresSearch): void }) {
  const { data } = useQuery(overview({ limit: 500 }))
  const apps = new Set((data?.apps ?? []).map(({ name }) => name))
  // What the address names can be chosen, whatever is known of it.
  if (search.app) apps.add(search.app)
  const environments = new Set((data?.apps ?? []).find(({ name }) => name === search.app)?.environments.map(({ name }) => name))
  if (search.environment) environments.add(search.environment)
  return (
    <div role="group" aria-label="Which figures" className="flex flex-wrap gap-2 max-sm:*:grow">
      <Select
        aria-label="App"
        className="w-44"
        value={search.app ?? ''}
        onChange={(event) => change({ ...search, app: event.target.value || undefined, environment: undefined })}
      >
        <option value="">All apps</option>
        {[...apps].sort().map((name) => (
          <option key={name}>{name}</option>
        ))}
      </Select>
      {search.app ? (
        <Select
          aria-label="Environment"
          className="w-44"
          value={search.environment ?? ''}
          onChange={(event) => change({ ...search, environment: event.target.value || undefined })}
        >
          <option value="">All environments</option>
          {[...environments].sort().map((name) => (
            <option key={name}>{name}</option>
          ))}
        </Select>
      ) : null}
      <Select
        aria-label="How far back"
        className="w-36"
        value={search.since ?? USUAL}
        onChange={(event) => change({ ...search, since: RANGES.map(([range]) => range).find((range) => range === event.target.value && range !== USUAL) })}
      >
        {RANGES.map(([range, word]) => (
          <option key={range} value={range}>
            {word}
          </option>
        ))}
      </Select>
    </div>
  )
}

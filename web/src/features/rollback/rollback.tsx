// Going back: what changes is shown before anything happens, and the button that changes nothing has the focus.
import { useQuery } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { Undo2 } from 'lucide-react'
import { useRef, useState } from 'react'
import { rollback } from '@/api/actions'
import { ApiError, explain } from '@/api/errors'
import { Intention } from '@/api/keys'
import { release as releaseQuery, releases } from '@/api/queries'
import type { Environment, ReleaseStatus } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Code } from '@/ui/code'
import { CloseButton, Dialog } from '@/ui/dialog'
import { Field, Select } from '@/ui/field'
import { plural } from '@/ui/format'
import { Note } from '@/ui/note'
import { Empty, Loaded, Skeleton } from '@/ui/states'
import { Time } from '@/ui/time'
import { candidates } from './candidates'
import { changes } from './changes'

interface Props {
  environment: Environment
  /** The release to offer at first; the one before that which serves, otherwise. */
  release?: ReleaseStatus
  look?: 'plain' | 'primary'
}

export function RollbackButton({ environment, release, look }: Props) {
  const may = useMay()
  const [open, setOpen] = useState(false)
  const reason = may('deployer', environment.app) ?? (environment.active ? undefined : 'Nothing serves here yet')
  return (
    <>
      <Button look={look} disabledReason={reason} onClick={() => setOpen(true)}>
        <Undo2 aria-hidden /> Roll back
      </Button>
      {open ? <RollbackDialog environment={environment} release={release} close={() => setOpen(false)} /> : null}
    </>
  )
}

export function RollbackDialog({ environment, release, close }: { environment: Environment; release?: ReleaseStatus; close(): void }) {
  const navigate = useNavigate()
  const now = environment.active?.release_number
  // What has served here: the newest, and those right before what serves, which may be far behind them.
  const served = { served_in: environment.name, limit: 50 }
  const newest = useQuery(releases(environment.app, served))
  const query = useQuery(releases(environment.app, now === undefined ? served : { ...served, cursor: String(now) }))
  const safe = useRef<HTMLButtonElement>(null)
  const intention = useRef(new Intention())
  const [chosen, setChosen] = useState(release?.number)
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const known = [...(newest.data?.items ?? []), ...(query.data?.items ?? []), ...(release ? [release] : [])]
  const { offered, first } = candidates(known, now)
  const target = offered.find(({ number }) => number === chosen) ?? first
  const listed = known.find(({ number }) => number === now)
  const alone = useQuery({ ...releaseQuery(environment.app, now ?? 0), enabled: now !== undefined && !newest.isPending && !listed })
  const serving = listed ?? alone.data
  const looking = newest.isPending || alone.isLoading
  const trouble = error === undefined ? undefined : explain(error)

  const go = async () => {
    if (!target) return
    setBusy(true)
    setError(undefined)
    const order = { release: target.number }
    try {
      const { id } = await rollback(environment.app, environment.name, order, intention.current.keyFor(order))
      close()
      await navigate(to.deployment(id))
    } catch (caught) {
      if (caught instanceof ApiError) intention.current.answered()
      setError(caught)
      setBusy(false)
    }
  }
  return (
    <Dialog
      open
      onOpenChange={(open) => (open ? undefined : close())}
      busy={busy}
      title={`Roll back ${environment.app} / ${environment.name}`}
      focus={safe}
      actions={
        <>
          <CloseButton ref={safe}>
            Keep v{now}
          </CloseButton>
          <Button look="danger" busy={busy} disabledReason={target ? undefined : offered.length > 0 ? 'Choose above what to go back to' : 'There is no other release'} onClick={() => void go()}>
            Roll back{target ? ` to v${target.number}` : ''}
          </Button>
        </>
      }
    >
      <Loaded query={query}>
        {() =>
          offered.length > 0 ? (
            <div className="flex flex-col gap-4">
              <Field label="To">
                <Select value={target?.number ?? ''} onChange={(event) => setChosen(Number(event.target.value))}>
                  {target ? null : (
                    <option value="" disabled>
                      All that are left are newer than v{now}
                    </option>
                  )}
                  {offered.map(({ number, commit, tags }) => (
                    <option key={number} value={number}>
                      v{number}
                      {tags.length > 0 ? ` (${tags.join(', ')})` : ''}
                      {commit ? ` · ${commit.summary}` : ''}
                    </option>
                  ))}
                </Select>
              </Field>
              {target ? (
                <>
                  {looking ? <Skeleton /> : <Difference from={serving} to={target} />}
                  <p className="text-sm text-muted">
                    {environment.instances.length > 0 ? `${plural(environment.instances.length, 'instance')} will be started from v${target.number}, and ` : ''}
                    {environment.urls.join(', ') || 'its address'} will answer from it once it is healthy. Databases are not changed back.
                  </p>
                </>
              ) : null}
              {trouble ? (
                <Note tone="bad" urgent title={trouble.detail}>
                  {trouble.hint}
                </Note>
              ) : null}
            </div>
          ) : looking ? (
            <Skeleton />
          ) : (
            <Empty title="There is nothing to go back to">Only v{now} has been here, or the files of the others are gone.</Empty>
          )
        }
      </Loaded>
    </Dialog>
  )
}

function Difference({ from, to: target }: { from?: ReleaseStatus; to: ReleaseStatus }) {
  const found = from ? changes(from, target) : []
  return (
    <section aria-label="What changes" className="rounded-lg border border-line">
      <div className="grid grid-cols-2 divide-x divide-line border-b border-line">
        <Side word="Serves now" release={from} />
        <Side word="Will serve" release={target} />
      </div>
      <div className="px-3 py-2.5">
        {from === undefined ? (
          <p className="text-sm text-muted">What serves now is not known here: the difference can’t be shown.</p>
        ) : found.length === 0 ? (
          <p className="text-sm text-muted">Components, routes and variables that it needs are the same; the code differs.</p>
        ) : (
          <ul className="flex flex-col gap-1 text-sm">
            {found.map((change) => (
              <li key={change}>{change}</li>
            ))}
          </ul>
        )}
      </div>
    </section>
  )
}

const Side = ({ word, release }: { word: string; release?: ReleaseStatus }) => (
  <div className="min-w-0 px-3 py-2.5">
    <p className="text-xs text-muted">{word}</p>
    {release ? (
      <>
        <p className="font-semibold tabular">
          v{release.number} {release.tags.length > 0 ? <span className="font-normal text-muted">{release.tags.join(', ')}</span> : null}
        </p>
        {release.commit ? (
          <p className="text-sm break-words">
            <Code>{release.commit.sha.slice(0, 7)}</Code> {release.commit.summary}
          </p>
        ) : null}
        <p className="text-sm text-muted">
          made <Time at={release.created_at} />
        </p>
      </>
    ) : (
      <p className="text-muted">not known</p>
    )}
  </div>
)

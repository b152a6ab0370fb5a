import { keepPreviousData, useQuery, useSuspenseQuery } from '@tanstack/react-query'
import { createFileRoute, useNavigate } from '@tanstack/react-router'
import { Download } from 'lucide-react'
import { roleAt } from '@/api/auth'
import { audit, me } from '@/api/queries'
import { useMay } from '@/api/use-me'
import { Filter } from '@/features/audit/filter'
import { Records } from '@/features/audit/records'
import { type AuditSearch, exportPath, isFiltered, searchOf } from '@/features/audit/search'
import { useVerify } from '@/features/audit/verify'
import { to } from '@/paths'
import { Button, ButtonLink, looks } from '@/ui/button'
import { Card } from '@/ui/card'
import { Page } from '@/ui/page'
import { Pager } from '@/ui/pager'
import { Empty, Loaded } from '@/ui/states'

export const Route = createFileRoute('/_app/audit')({
  validateSearch: searchOf,
  component: Audit,
})

function Audit() {
  const search = Route.useSearch()
  const may = useMay()
  const { button, answer } = useVerify()
  const reason = may('admin', search.app)
  return (
    <Page
      title="Audit log"
      lead="Who changed what, when and from where. Records are never changed or removed."
      actions={
        <>
          {button}
          {reason === undefined ? (
            <a href={exportPath(search)} download="audit.ndjson" className={looks({})}>
              <Download aria-hidden /> Export
            </a>
          ) : (
            <Button disabledReason={reason}>
              <Download aria-hidden /> Export
            </Button>
          )}
        </>
      }
    >
      {answer}
      <Card flush>{reason === undefined ? <Shown search={search} /> : <NotAll reason={reason} />}</Card>
    </Page>
  )
}

function Shown({ search }: { search: AuditSearch }) {
  const navigate = useNavigate({ from: Route.fullPath })
  const query = useQuery({ ...audit({ ...search, limit: 50 }), placeholderData: keepPreviousData })
  const change = (next: AuditSearch) => void navigate({ search: next })
  return (
    <>
      <Filter search={search} records={query.data?.items ?? []} change={change} />
      <Loaded query={query}>
        {({ items, next }) =>
          items.length === 0 ? (
            <Empty title={isFiltered(search) ? 'No record is like this' : 'Nothing was changed yet'}>
              {isFiltered(search) ? 'Take a filter away to see more.' : 'What people, programs and schedules change is recorded from the first day on.'}
            </Empty>
          ) : (
            <>
              <Records records={items} filter={search} />
              <Pager at={search.cursor} next={next} go={(cursor) => change({ ...search, cursor })} />
            </>
          )
        }
      </Loaded>
    </>
  )
}

/** Admins of apps see those of their apps, one at a time. */
function NotAll({ reason }: { reason: string }) {
  const { data: self } = useSuspenseQuery(me())
  const own = Object.keys(self.grants.apps ?? {})
    .filter((app) => ['admin', 'owner'].includes(roleAt(self.grants, app) ?? ''))
    .sort()
  return (
    <Empty
      title={own.length > 0 ? 'Choose one of your apps' : 'The audit log is for admins'}
      actions={own.map((app) => (
        <ButtonLink key={app} {...to.audit({ app })} size="sm">
          {app}
        </ButtonLink>
      ))}
    >
      {reason}.
    </Empty>
  )
}

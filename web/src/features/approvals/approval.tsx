// One thing that others are asked about: what exactly, who asks, who said what; and one's own say.
import { Link } from '@tanstack/react-router'
import { Check, X } from 'lucide-react'
import { Suspense, lazy, useState } from 'react'
import { sentence } from '@/api/errors'
import type { Approval, Verdict } from '@/api/schema'
import { roleWord } from '@/features/people/roles'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Facts } from '@/ui/card'
import { Status } from '@/ui/status'
import { Time } from '@/ui/time'
import { askedOf, countOf, standingOfApproval } from './words'

const Vote = lazy(() => import('./vote'))

export function ApprovalCard({ approval, here }: { approval: Approval; here?: boolean }) {
  const { id, app, environment, deployment, state, subject_note: note, requested_by: by, role, why, votes, created_at: asked, expires_at: ends, decided_at: decided } = approval
  const pending = state === 'pending'
  return (
    <section aria-label={`${askedOf(approval)}: ${note}`} className="flex flex-col gap-3 rounded-lg border border-line bg-surface p-4">
      <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <div className="min-w-0">
          <h3 className="text-base font-semibold">
            {here ? askedOf(approval) : (
              <Link {...to.deployment(deployment)} className="touch hover:underline">
                {askedOf(approval)}
              </Link>
            )}
          </h3>
          <p className="break-words">{note}</p>
        </div>
        <Status standing={standingOfApproval(state)} badge />
      </div>
      <Facts
        facts={[
          ['Asked by', <span key="by">{by}, <Time at={asked} /></span>],
          ['Approved by', <span key="got">{countOf(approval)}, {roleWord[role].toLowerCase()} or more of {app}</span>],
          pending ? ['Expires', <Time key="ends" at={ends} />] : ['Decided', decided ? <Time key="decided" at={decided} /> : '–'],
          ...(why ? ([['Why', sentence(why)]] as [string, string][]) : []),
          ['In', <Link key="in" {...to.environment(app, environment)} className="text-accent hover:underline">{app} / {environment}</Link>],
        ]}
      />
      {votes.length > 0 ? (
        <ul aria-label="Votes" className="flex flex-col gap-1.5 border-t border-line pt-3">
          {votes.map(({ user, name, verdict, comment, via, at, counts }) => (
            <li key={`${user} ${at}`} className={counts ? undefined : 'text-muted'}>
              <span className="inline-flex items-center gap-1.5 font-medium">
                {verdict === 'approve' ? <Check className="size-4 text-good" aria-hidden /> : <X className="size-4 text-bad" aria-hidden />}
                {name} {verdict === 'approve' ? 'approved' : 'refused'}
              </span>{' '}
              <span className="text-sm text-muted">
                <Time at={at} />, by {via === 'cli' ? 'command' : via}
                {counts ? '' : '; does not count any more, as what would run has changed'}
              </span>
              {comment ? <p className="text-sm break-words">“{comment}”</p> : null}
            </li>
          ))}
        </ul>
      ) : null}
      {pending ? <Say key={id} approval={approval} /> : null}
    </section>
  )
}

function Say({ approval }: { approval: Approval }) {
  const [verdict, setVerdict] = useState<Verdict>()
  const off = approval.may_vote ? undefined : sentence(approval.may_not ?? 'you may not vote on it')
  return (
    <div className="flex flex-wrap items-center gap-2">
      <Button look="primary" disabledReason={off} onClick={() => setVerdict('approve')}>
        <Check aria-hidden /> Approve
      </Button>
      <Button disabledReason={off} onClick={() => setVerdict('refuse')}>
        <X aria-hidden /> Refuse
      </Button>
      {off ? <span className="text-sm text-muted">{off}</span> : null}
      {verdict ? (
        <Suspense fallback={null}>
          <Vote approval={approval} verdict={verdict} close={() => setVerdict(undefined)} />
        </Suspense>
      ) : null}
    </div>
  )
}

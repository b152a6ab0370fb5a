import { useMutation } from '@tanstack/react-query'
import { ShieldCheck } from 'lucide-react'
import { verifyAudit } from '@/api/actions'
import { sentence } from '@/api/errors'
import type { Verified } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { CodeBlock } from '@/ui/code'
import { number, plural } from '@/ui/format'
import { Note } from '@/ui/note'
import { Failed } from '@/ui/states'

/** The button, and beside it for the page what came of it. */
export function useVerify() {
  const may = useMay()
  const asked = useMutation({ mutationFn: verifyAudit })
  const button = (
    <Button busy={asked.isPending} disabledReason={may('admin')} onClick={() => asked.mutate()}>
      <ShieldCheck aria-hidden /> Verify
    </Button>
  )
  const answer = (
    // It is there before there is something to say, so that it is read out.
    <div role="status" className={asked.isIdle || asked.isPending ? 'sr-only' : undefined}>
      {asked.isPending ? 'All records are looked at' : null}
      {asked.error ? <Failed error={asked.error} retry={() => asked.mutate()} /> : null}
      {asked.data ? <Answer found={asked.data} /> : null}
    </div>
  )
  return { button, answer }
}

export function Answer({ found: { sound, records, anchor, unchecked, fault } }: { found: Verified }) {
  if (!sound) {
    return (
      <Note tone="bad" title={fault ? `Record ${number(fault.seq)} is not as it was written` : 'The log is not as it was written'}>
        {fault ? <p>{sentence(fault.what)}</p> : null}
        <p>
          {records > 0 ? `The records up to ${number(records)} are sound. ` : ''}
          Somebody or something wrote to the database past Plimsoll: keep a copy of it, and compare with an earlier export or backup.
        </p>
      </Note>
    )
  }
  if (records === 0) return <Note tone="good" title="The log is sound, and empty" />
  return (
    <Note tone={unchecked > 0 ? 'warn' : 'good'} title={`The log is sound up to record ${number(records)}`}>
      {unchecked > 0 ? (
        <p className="mb-2">
          {plural(unchecked, 'record')} {unchecked === 1 ? 'was' : 'were'} sealed with another key file: their order and hashes are right, their
          seals could not be looked at.
        </p>
      ) : null}
      {anchor ? (
        <>
          <p className="mb-2">Keep this elsewhere: with it, anybody can tell later whether the log was written anew as a whole.</p>
          <CodeBlock label="Number and hash of the last record" text={anchor} />
        </>
      ) : null}
    </Note>
  )
}

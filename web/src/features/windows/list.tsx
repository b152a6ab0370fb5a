// When deployments may begin, and when none may.
import { useQueryClient } from '@tanstack/react-query'
import { CircleCheck, CircleDashed, Snowflake, Trash2 } from 'lucide-react'
import { useRef } from 'react'
import { removeWindow } from '@/api/actions'
import { Intention } from '@/api/keys'
import type { Window } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { useConfirm } from '@/ui/confirm'
import { Empty } from '@/ui/states'
import { Status, type Standing } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'
import { daysInWords, whereOf } from './words'

function standing({ rule, now }: Window): Standing {
  if (rule.kind === 'freeze') return now ? { tone: 'bad', word: 'Frozen now', icon: Snowflake } : { tone: 'idle', word: 'To come', icon: CircleDashed }
  return now ? { tone: 'good', word: 'Open now', icon: CircleCheck } : { tone: 'warn', word: 'Closed now', icon: CircleDashed }
}

export function Windows({ windows }: { windows: Window[] }) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const may = useMay()
  const intention = useRef(new Intention())
  const remove = (window: Window) =>
    confirm({
      title: window.rule.kind === 'freeze' ? 'Remove this freeze?' : 'Remove this deploy window?',
      will: [
        `It does not hold any more for ${whereOf(window)}.`,
        window.rule.kind === 'freeze' ? 'What waits for its end begins as soon as its turn comes.' : 'Where no other window is left, deployments begin at any time.',
      ],
      action: 'Remove',
      danger: true,
      run: async () => {
        await removeWindow(window.id, intention.current.keyFor(['remove', window.id]))
        await Promise.all([['windows'], ['queue']].map((queryKey) => client.invalidateQueries({ queryKey })))
        toast.show({ tone: 'good', title: window.rule.kind === 'freeze' ? 'The freeze is removed.' : 'The deploy window is removed.' })
      },
    })
  if (windows.length === 0) {
    return <Empty title="Deployments may begin at any time">A deploy window says when they may; a freeze, that none may for a while. Rollbacks are never held.</Empty>
  }
  const columns: Column<Window>[] = [
    {
      head: 'Rule',
      phone: 'title',
      className: 'sm:max-w-96',
      cell: ({ rule }) =>
        rule.kind === 'freeze' ? (
          <span>
            <span className="font-semibold">Freeze</span>
            <span className="block text-sm break-words text-muted">{rule.reason}</span>
          </span>
        ) : (
          <span>
            <span className="font-semibold">
              {daysInWords(rule.days)}, {rule.from} to {rule.to}
            </span>
            <span className="block text-sm text-muted">{rule.zone}</span>
          </span>
        ),
    },
    { head: 'Holds for', cell: (row) => <span className="max-sm:text-right">{whereOf(row)}</span> },
    { head: 'State', cell: (row) => <Status standing={standing(row)} /> },
    {
      head: 'Until',
      cell: ({ changes_at: at, rule }) =>
        at ? <Time at={at} absolute /> : <span className="text-muted">{rule.kind === 'freeze' ? 'it is removed' : '–'}</span>,
    },
    { head: 'By', cell: ({ created_by: by }) => by },
    {
      head: <span className="sr-only">Actions</span>,
      right: true,
      cell: (row) => (
        <Button
          look="quiet"
          size="icon"
          aria-label={`Remove the ${row.rule.kind === 'freeze' ? 'freeze' : 'window'} of ${whereOf(row)}`}
          disabledReason={may('admin', row.app ?? undefined)}
          onClick={() => remove(row)}
        >
          <Trash2 aria-hidden />
        </Button>
      ),
    },
  ]
  return <Table label="Windows and freezes" columns={columns} rows={windows} id={({ id }) => id} />
}

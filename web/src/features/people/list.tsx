import { Link } from '@tanstack/react-router'
import { Ban, CircleCheck, Ellipsis } from 'lucide-react'
import type { User } from '@/api/schema'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Menu, MenuItem, MenuLabel, MenuLine } from '@/ui/menu'
import { type Standing, Status } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'
import { ChangeRoleButton, useMayChange, usePersonActions } from './actions'
import { everywhereWord } from './roles'

export const standingOfPerson = ({ disabled }: { disabled: boolean }): Standing =>
  disabled ? { tone: 'warn', word: 'Disabled', icon: Ban } : { tone: 'good', word: 'May sign in', icon: CircleCheck }

export const LastSignIn = ({ at }: { at?: string | null }) =>
  at ? <Time at={at} className="text-muted" /> : <span className="text-muted">never</span>

export function PeopleList({ people }: { people: User[] }) {
  const mayChange = useMayChange()
  const { disable, enable, remove } = usePersonActions()
  const columns: Column<User>[] = [
    {
      head: 'Person',
      phone: 'title',
      cell: ({ id, name, email }) => (
        <span className="min-w-0">
          <Link {...to.person(id)} className="touch font-semibold break-words hover:underline">
            {name}
          </Link>
          <span className="block text-sm break-all text-muted">{email}</span>
        </span>
      ),
    },
    { head: 'Role everywhere', cell: ({ everywhere }) => <span className={everywhere ? '' : 'text-muted'}>{everywhereWord(everywhere)}</span> },
    { head: 'State', cell: (row) => <Status standing={standingOfPerson(row)} /> },
    { head: 'Last sign-in', right: true, cell: ({ last_sign_in_at }) => <LastSignIn at={last_sign_in_at} /> },
    {
      head: <span className="sr-only">Actions</span>,
      right: true,
      cell: (row) => {
        const reason = mayChange(row)
        return (
          <span className="inline-flex grow items-center justify-end gap-1">
            <ChangeRoleButton person={row} size="sm" />
            <Menu
              trigger={
                <Button look="quiet" size="icon" aria-label={`More for ${row.name}`}>
                  <Ellipsis aria-hidden />
                </Button>
              }
            >
              {reason ? <MenuLabel>{reason}</MenuLabel> : null}
              {row.disabled ? (
                <MenuItem disabledReason={reason} onClick={() => enable(row)}>
                  Enable
                </MenuItem>
              ) : (
                <MenuItem disabledReason={reason} onClick={() => disable(row)}>
                  Disable
                </MenuItem>
              )}
              <MenuLine />
              <MenuItem disabledReason={reason} onClick={() => remove(row)}>
                Remove
              </MenuItem>
            </Menu>
          </span>
        )
      },
    },
  ]
  return <Table label="People" columns={columns} rows={people} id={({ id }) => id} />
}

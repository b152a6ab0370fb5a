// Who has a role at one app, and how that is changed.
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { removeMember, setMember } from '@/api/actions'
import { ApiError } from '@/api/errors'
import { newKey } from '@/api/keys'
import type { Member, Role } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { useConfirm } from '@/ui/confirm'
import { Field, Input } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { Note } from '@/ui/note'
import { Status } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'
import { standingOfPerson } from './list'
import { RoleField } from './role-field'
import { neededFor, roleWord } from './roles'

export function MemberList({ app, members }: { app: string; members: Member[] }) {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const may = useMay()
  const [changing, setChanging] = useState<Member>()
  const remove = (member: Member) =>
    confirm({
      title: `Remove ${member.name} from ${app}?`,
      will: [
        `${member.email} is no ${member.role} of ${app} any more. A role everywhere, if there is one, stays.`,
        `Schedules that they made for ${app} don’t run unless they may still deploy it.`,
      ],
      action: 'Remove',
      danger: true,
      run: async () => {
        await removeMember(app, member.user, newKey())
        await refresh(client, app)
        toast.show({ tone: 'good', title: `${member.name} has no role at ${app} any more.` })
      },
    })
  const columns: Column<Member>[] = [
    {
      head: 'Person',
      phone: 'title',
      cell: ({ name, email }) => (
        <span className="min-w-0">
          <span className="font-semibold break-words">{name}</span>
          <span className="block text-sm break-all text-muted">{email}</span>
        </span>
      ),
    },
    { head: 'Role', cell: ({ role }) => roleWord[role] },
    { head: 'State', cell: (row) => <Status standing={standingOfPerson(row)} /> },
    {
      head: 'Since',
      right: true,
      cell: ({ granted_at, granted_by }) => (
        <span className="text-muted">
          <Time at={granted_at} />, by {granted_by}
        </span>
      ),
    },
    {
      head: <span className="sr-only">Actions</span>,
      right: true,
      cell: (row) => {
        const reason = may(neededFor(row.role), app)
        return (
          <span className="inline-flex grow items-center justify-end gap-1">
            <Button size="sm" aria-label={`Change role of ${row.name}`} disabledReason={reason} onClick={() => setChanging(row)}>
              Change role
            </Button>
            <Button look="quiet" size="sm" aria-label={`Remove ${row.name}`} disabledReason={reason} onClick={() => remove(row)}>
              Remove
            </Button>
          </span>
        )
      },
    },
  ]
  return (
    <>
      <Table label={`Members of ${app}`} columns={columns} rows={members} id={({ user }) => user} />
      {changing ? <ChangeRole app={app} member={changing} close={() => setChanging(undefined)} /> : null}
    </>
  )
}

const refresh = (client: ReturnType<typeof useQueryClient>, app: string) =>
  Promise.all([['members', app], ['users'], ['me']].map((queryKey) => client.invalidateQueries({ queryKey })))

function ChangeRole({ app, member, close }: { app: string; member: Member; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const form = useForm({
    initial: { role: member.role },
    submit: async ({ role }, key) => {
      await setMember(app, member.user, role, key)
      await refresh(client, app)
      toast.show({ tone: 'good', title: `${member.name} is now ${role} of ${app}.` })
      close()
    },
  })
  return (
    <FormDialog
      form={form}
      close={close}
      title={`Role of ${member.name} in ${app}`}
      description="It counts from the next request on. A role everywhere counts as well, if it is higher."
      action="Change"
      safe="Keep as it is"
      off={form.changed ? undefined : 'It is that already'}
    >
      <RoleField app={app} value={form.values.role} onChange={(role) => form.set('role', role)} error={form.errors.role} />
    </FormDialog>
  )
}

/** Gives a role to who can sign in already. Who can't is invited: `invite` goes on with the same address. */
export function AddMember({ app, close, invite }: { app: string; close(): void; invite(email: string): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const [stranger, setStranger] = useState<string>()
  const form = useForm({
    initial: { user: '', role: 'deployer' as Role },
    check: ({ user }) => ({ user: user.includes('@') ? undefined : 'The address that they sign in with' }),
    submit: async ({ user, role }, key) => {
      setStranger(undefined)
      const email = user.trim().toLowerCase()
      try {
        const member = await setMember(app, email, role, key)
        await refresh(client, app)
        toast.show({ tone: 'good', title: `${member.name} is now ${role} of ${app}.` })
        close()
      } catch (error) {
        if (!(error instanceof ApiError && error.is('not_found'))) throw error
        setStranger(email)
      }
    },
  })
  return (
    <FormDialog
      form={form}
      close={close}
      title={`Add somebody to ${app}`}
      description="Who can sign in to this server already. Who can’t is invited instead."
      action="Add"
    >
      <Field label="E-mail" error={form.errors.user}>
        <Input
          type="email"
          autoComplete="off"
          autoCapitalize="none"
          spellCheck={false}
          placeholder="zoe@example.org"
          value={form.values.user}
          onChange={(event) => form.set('user', event.target.value)}
        />
      </Field>
      <RoleField app={app} value={form.values.role} onChange={(role) => form.set('role', role)} error={form.errors.role} />
      {stranger === undefined ? null : (
        <Note
          tone="warn"
          urgent
          title={`Nobody signs in here as ${stranger}`}
          actions={
            <Button size="sm" onClick={() => invite(stranger)}>
              Invite them
            </Button>
          }
        />
      )}
    </FormDialog>
  )
}

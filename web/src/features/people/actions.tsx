// What can be done about a person: another role, keeping them out, letting them in again, removing them.
import { useQueryClient, useSuspenseQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { removeSecondFactor, removeUser, setUser } from '@/api/actions'
import { newKey } from '@/api/keys'
import { me, user as userQuery } from '@/api/queries'
import type { Role, User } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { useConfirm } from '@/ui/confirm'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { plural } from '@/ui/format'
import { useToast } from '@/ui/toast'
import { RoleField } from './role-field'

/** Why one may not change this person; nothing when one may. */
export function useMayChange(): (person: Pick<User, 'id'>) => string | undefined {
  const may = useMay()
  const { data } = useSuspenseQuery(me())
  return (person) => may('owner') ?? (person.id === data.principal ? 'That is you: another owner has to do it' : undefined)
}

/** Asks, and does it. What the person has is looked up first, so that the question says what will end. */
export function usePersonActions() {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const refresh = () =>
    Promise.all([['users'], ['members'], ['sessions']].map((queryKey) => client.invalidateQueries({ queryKey })))
  const ask = async (question: () => Promise<void>) => {
    try {
      await question()
    } catch (error) {
      toast.fail(error)
    }
  }

  const disable = (person: User) =>
    ask(async () => {
      const { sessions, tokens } = await client.fetchQuery({ ...userQuery(person.id), staleTime: 0 })
      confirm({
        title: `Disable ${person.name}?`,
        will: [
          `${plural(sessions, 'session')} of ${person.email} ${sessions === 1 ? 'ends' : 'end'}, and signing in is refused.`,
          `${plural(tokens, 'token')} of theirs ${tokens === 1 ? 'is' : 'are'} refused, and schedules that they made don’t run.`,
          'Their roles stay, for when you enable them again.',
        ],
        action: 'Disable',
        danger: true,
        run: async () => {
          await setUser(person.id, { disabled: true }, newKey())
          await refresh()
          toast.show({ tone: 'good', title: `${person.name} is kept out.` })
        },
      })
    })

  const enable = (person: User) =>
    confirm({
      title: `Enable ${person.name}?`,
      will: [`${person.email} can sign in again, with the roles and tokens from before.`],
      action: 'Enable',
      run: async () => {
        await setUser(person.id, { disabled: false }, newKey())
        await refresh()
        toast.show({ tone: 'good', title: `${person.name} can sign in again.` })
      },
    })

  const remove = (person: User, then?: () => Promise<void>) =>
    ask(async () => {
      const { sessions, tokens, apps } = await client.fetchQuery({ ...userQuery(person.id), staleTime: 0 })
      confirm({
        title: `Remove ${person.name}?`,
        will: [
          `The account is deleted and can’t be brought back, with ${plural(sessions, 'session')}, ${plural(tokens, 'token')} and roles at ${plural(apps.length, 'app')}.`,
          'Records of what they did keep their name.',
          'To keep somebody out for a while, disable them instead.',
        ],
        action: 'Remove',
        danger: true,
        type: person.email,
        run: async () => {
          await removeUser(person.id, newKey())
          // Before the lists are asked again: the page of somebody who is gone would find nobody.
          await then?.()
          await refresh()
          toast.show({ tone: 'good', title: `${person.name} is removed.` })
        },
      })
    })

  const forgetFactor = (person: User) =>
    confirm({
      title: `Remove the second factor of ${person.name}?`,
      will: [
        `${person.email} signs in with the password alone from then on, until they set up another one.`,
        'The app on their phone and their recovery codes are worth nothing any more.',
        'Be sure that it is they who ask: who has learned the password gets in then.',
      ],
      action: 'Remove the second factor',
      danger: true,
      run: async () => {
        await removeSecondFactor(newKey(), person.id)
        await refresh()
        toast.show({ tone: 'good', title: `${person.name} has no second factor now.` })
      },
    })

  return { forgetFactor, disable: (person: User) => void disable(person), enable, remove: (person: User, then?: () => Promise<void>) => void remove(person, then) }
}

export function ChangeRoleButton({ person, size }: { person: User; size?: 'sm' | 'md' }) {
  const mayChange = useMayChange()
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button size={size} onClick={() => setOpen(true)} disabledReason={mayChange(person)}>
        Change role
        <span className="sr-only"> of {person.name}</span>
      </Button>
      {open ? <ChangeRole person={person} close={() => setOpen(false)} /> : null}
    </>
  )
}

function ChangeRole({ person, close }: { person: User; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const form = useForm({
    initial: { everywhere: (person.everywhere ?? 'none') as Role | 'none' },
    submit: async ({ everywhere }, key) => {
      await setUser(person.id, { everywhere }, key)
      await client.invalidateQueries({ queryKey: ['users'] })
      toast.show({ tone: 'good', title: `The role of ${person.name} is changed.` })
      close()
    },
  })
  return (
    <FormDialog
      form={form}
      close={close}
      title={`Role of ${person.name} everywhere`}
      description="At every app, and at the server itself. It counts from the next request on. Roles at single apps stay."
      action="Change"
      safe="Keep as it is"
      off={form.changed ? undefined : 'It is that already'}
    >
      <RoleField none value={form.values.everywhere} onChange={(role) => form.set('everywhere', role)} error={form.errors.everywhere} />
    </FormDialog>
  )
}

import { useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { Trash2 } from 'lucide-react'
import { deleteApp } from '@/api/apps'
import { newKey } from '@/api/keys'
import type { AppDetail } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { to } from '@/paths'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { useConfirm } from '@/ui/confirm'
import { plural } from '@/ui/format'
import { useToast } from '@/ui/toast'
import { endsWithApp, held } from './end'

export function DeleteApp({ app }: { app: AppDetail }) {
  const client = useQueryClient()
  const navigate = useNavigate()
  const confirm = useConfirm()
  const toast = useToast()
  const off = useMay()('owner', app.name) ?? held(app.environments)
  const ask = () =>
    confirm({
      title: `Delete ${app.name}?`,
      will: endsWithApp(app),
      action: 'Delete',
      danger: true,
      type: app.name,
      run: async () => {
        const { environments, releases } = await deleteApp(app.name, newKey())
        // Before anything is asked again: the page of an app that is gone would find nothing.
        await navigate(to.overview())
        await Promise.all([['apps'], ['overview']].map((queryKey) => client.invalidateQueries({ queryKey })))
        toast.show({ tone: 'good', title: `${app.name} is deleted, with ${plural(environments.length, 'environment')} and ${plural(releases, 'release')}.` })
      },
    })
  return (
    <Card title="The end of it">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <p className="max-w-prose text-muted">Stops everything of {app.name}, and deletes it with its environments, releases, variables and logs.</p>
        <Button look="danger" disabledReason={off} onClick={ask}>
          <Trash2 aria-hidden /> Delete the app
        </Button>
      </div>
    </Card>
  )
}

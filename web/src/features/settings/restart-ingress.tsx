// A new process in front of the apps: after an update of the binary, or when it misbehaves.
import { useQueryClient } from '@tanstack/react-query'
import { RefreshCw } from 'lucide-react'
import { newKey } from '@/api/keys'
import { restartIngress } from '@/api/upkeep'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { useConfirm } from '@/ui/confirm'
import { useToast } from '@/ui/toast'

export function RestartIngress() {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  const off = useMay()('admin')
  const ask = () =>
    confirm({
      title: 'Restart the ingress?',
      will: [
        'A new process takes over the ports; no connection is refused or cut off meanwhile.',
        'The one before finishes its requests, and ends.',
        'It is of the version that is installed now, which may be newer than the one that runs.',
      ],
      action: 'Restart it',
      run: async () => {
        const { pid, version, listen } = await restartIngress(newKey())
        await client.invalidateQueries({ queryKey: ['server'] })
        toast.show({ tone: 'good', title: 'The ingress is a new process.', children: `Version ${version}, process ${pid}, at ${listen}.` })
      },
    })
  return (
    <Button size="sm" look="quiet" disabledReason={off} onClick={ask}>
      <RefreshCw aria-hidden /> Restart the ingress
    </Button>
  )
}

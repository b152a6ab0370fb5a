// Certificates: which are shown, adding one with its key, forgetting one.
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { CircleCheck, CircleX, Clock, Plus, Trash2, TriangleAlert } from 'lucide-react'
import { Suspense, lazy, useState } from 'react'
import { sentence } from '@/api/errors'
import { newKey } from '@/api/keys'
import { certificates } from '@/api/queries'
import type { Certificate, CertificateState } from '@/api/schema'
import { removeCertificate } from '@/api/upkeep'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { Card } from '@/ui/card'
import { useConfirm } from '@/ui/confirm'
import { Empty, Loaded } from '@/ui/states'
import { type Standing, Status } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'
import { useToast } from '@/ui/toast'

const AddCertificate = lazy(() => import('./add-certificate'))

const STANDINGS: Record<CertificateState, Standing> = {
  serving: { tone: 'good', word: 'Shown', icon: CircleCheck },
  expiring: { tone: 'warn', word: 'Ends soon', icon: TriangleAlert },
  expired: { tone: 'bad', word: 'Expired', icon: CircleX },
  not_yet_valid: { tone: 'warn', word: 'Not yet valid', icon: Clock },
  unserved: { tone: 'bad', word: 'Not shown', icon: CircleX },
}

export function Certificates() {
  const query = useQuery(certificates())
  const off = useMay()('admin')
  const [adding, setAdding] = useState(false)
  const remove = useRemove()
  const columns: Column<Certificate>[] = [
    {
      head: 'Names',
      phone: 'title',
      className: 'sm:max-w-72',
      cell: ({ names, warning, default: shown }) => (
        <span className="min-w-0">
          <span className="font-medium break-words">{names.join(', ')}</span>
          {shown ? <span className="block text-sm text-muted">Also to who asks for no name, or another one</span> : null}
          {warning ? <span className="block text-sm text-muted">{sentence(warning)}</span> : null}
        </span>
      ),
    },
    { head: 'State', cell: ({ state }) => <Status standing={STANDINGS[state]} /> },
    { head: 'From', cell: ({ issuer }) => <span className="text-sm break-words text-muted">{issuer}</span> },
    { head: 'Ends', right: true, cell: ({ not_after: at }) => <Time at={at} /> },
    {
      head: <span className="sr-only">Actions</span>,
      right: true,
      cell: (certificate) => (
        <Button
          look="quiet"
          size="icon"
          aria-label={`Remove the certificate of ${certificate.names.join(', ')}`}
          disabledReason={off}
          onClick={() => remove(certificate)}
        >
          <Trash2 aria-hidden />
        </Button>
      ),
    },
  ]
  return (
    <Card
      title="Certificates"
      flush
      aside={
        <Button size="sm" disabledReason={off} onClick={() => setAdding(true)}>
          <Plus aria-hidden /> Add a certificate
        </Button>
      }
    >
      <Loaded query={query}>
        {(found) =>
          found.length === 0 ? (
            <Empty title="No certificate">Apps answer without TLS until one is added.</Empty>
          ) : (
            <Table label="Certificates" columns={columns} rows={found} id={({ id }) => id} />
          )
        }
      </Loaded>
      {adding ? (
        <Suspense fallback={null}>
          <AddCertificate close={() => setAdding(false)} />
        </Suspense>
      ) : null}
    </Card>
  )
}

function useRemove() {
  const client = useQueryClient()
  const confirm = useConfirm()
  const toast = useToast()
  return ({ id, names }: Certificate) =>
    confirm({
      title: `Remove the certificate of ${names[0] ?? id}?`,
      will: [
        `It is shown for ${names.join(', ')} no more: browsers get another one that fits, or no answer over HTTPS.`,
        'Its key is forgotten, and can’t be brought back from here.',
      ],
      action: 'Remove',
      danger: true,
      type: names[0],
      run: async () => {
        await removeCertificate(id, newKey())
        await Promise.all([['certificates'], ['overview']].map((queryKey) => client.invalidateQueries({ queryKey })))
        toast.show({ tone: 'good', title: `The certificate of ${names.join(', ')} is removed.` })
      },
    })
}

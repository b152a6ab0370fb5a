// What the server is, and on which machines it lives.
import { CircleCheck, CircleX, Clock } from 'lucide-react'
import type { Cluster, Server, ServerInfo, Standing as ServerStanding } from '@/api/schema'
import { sentence } from '@/api/errors'
import { Facts } from '@/ui/card'
import { Code } from '@/ui/code'
import { number } from '@/ui/format'
import { Note } from '@/ui/note'
import { type Standing, Status } from '@/ui/status'
import { type Column, Table } from '@/ui/table'
import { Time } from '@/ui/time'

const DATABASES: Record<string, string> = { sqlite: 'SQLite, in the data folder', postgres: 'PostgreSQL' }

export const ServerFacts = ({ server }: { server: ServerInfo }) => (
  <div className="flex flex-col gap-3">
    {server.ingress_degraded ? <Note tone="warn" title={sentence(server.ingress_degraded)} /> : null}
    <Facts
      facts={[
        ['Version', <Code key="version">{server.version}</Code>],
        ['Runs since', <Time key="since" at={server.started_at} />],
        ['Database', DATABASES[server.database] ?? server.database],
        ['Apps answer at', <Code key="domain" className="break-all">{server.domain}</Code>],
        ['Ingress', <Code key="ingress" className="break-all">{server.ingress}</Code>],
      ]}
    />
  </div>
)

const STANDINGS: Record<ServerStanding, Standing> = {
  live: { tone: 'good', word: 'Live', icon: CircleCheck },
  leaving: { tone: 'idle', word: 'Leaving', icon: Clock },
  expired: { tone: 'bad', word: 'Not heard of', icon: CircleX },
}

export function Machines({ cluster: { servers, hosts, answered_by: self } }: { cluster: Cluster }) {
  const dead = hosts.filter(({ live }) => !live)
  const columns: Column<Server>[] = [
    {
      head: 'Machine',
      phone: 'title',
      cell: ({ id, host, leader }) => (
        <span>
          <span className="font-semibold break-all">{host}</span>
          <span className="block text-sm text-muted">{[id === self ? 'answers this page' : '', leader ? 'leads' : ''].filter(Boolean).join(', ')}</span>
        </span>
      ),
    },
    { head: 'State', cell: ({ standing }) => <Status standing={STANDINGS[standing]} /> },
    { head: 'Address', cell: ({ url }) => <span className="text-sm break-all">{url}</span> },
    { head: 'Version', cell: ({ version }) => version },
    { head: 'At work on', right: true, cell: ({ deployments }) => number(deployments.length) },
    { head: 'Since', right: true, cell: ({ started_at: at }) => <Time at={at} className="text-muted" /> },
  ]
  return (
    <>
      {dead.length > 0 ? (
        <Note tone="warn" className="m-4 mt-1" title={`No server lives on ${dead.map(({ name }) => name).join(', ')}`}>
          Apps that run there go on running; deployments to there wait.
        </Note>
      ) : null}
      <Table label="Servers" columns={columns} rows={servers} id={({ id }) => id} />
    </>
  )
}

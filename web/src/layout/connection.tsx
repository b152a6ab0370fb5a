import { useQuery } from '@tanstack/react-query'
import { LoaderCircle, Wifi, WifiOff } from 'lucide-react'
import { methods } from '@/api/auth'
import { useConnection } from '@/realtime/connection'
import { Banner } from '@/ui/note'
import { Time } from '@/ui/time'

/** Whether the page is live; in words, beside an icon. */
export function ConnectionState() {
  const connection = useConnection()
  const look = {
    connected: { icon: <Wifi className="size-4 text-good" aria-hidden />, word: 'Live' },
    connecting: { icon: <LoaderCircle className="size-4 animate-spin" aria-hidden />, word: 'Connecting' },
    offline: { icon: <WifiOff className="size-4 text-warn" aria-hidden />, word: 'Offline' },
    signed_out: { icon: <WifiOff className="size-4" aria-hidden />, word: 'Signed out' },
  }[connection.state]
  return (
    <span role="status" aria-label={`Connection: ${look.word}`} className="inline-flex items-center gap-1.5 text-sm text-muted">
      {look.icon}
      {look.word}
    </span>
  )
}

/** Before a password is typed as much as after. */
export function Unencrypted() {
  const { data: door } = useQuery({ queryKey: ['auth', 'methods'], queryFn: methods, staleTime: Number.POSITIVE_INFINITY })
  return door?.secure === false ? (
    <Banner tone="warn">
      This connection is not encrypted: anybody on the way can take your session or read what you type. Put TLS in front of the server.
    </Banner>
  ) : null
}

/** What holds for every page, above them. */
export function Banners() {
  const connection = useConnection()
  return (
    <>
      {connection.state === 'offline' ? (
        <Banner tone="warn">
          The server has not answered since <Time at={connection.since.toISOString()} absolute />. What you see is from then; the page
          goes on by itself. Apps keep serving meanwhile.
        </Banner>
      ) : null}
      <Unencrypted />
    </>
  )
}

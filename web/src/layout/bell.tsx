// In the header: how much is new, and a message at once when something ends. It comes after the page has been painted.
import { useQuery, useQueryClient, useSuspenseQuery } from '@tanstack/react-query'
import { useRouter } from '@tanstack/react-router'
import { Bell as Icon } from 'lucide-react'
import { useEffect, useRef } from 'react'
import { mutes, notices } from '@/api/notices'
import { me } from '@/api/queries'
import type { Notice } from '@/api/schema'
import { LEVELS } from '@/features/notices/words'
import { to } from '@/paths'
import { followTopic } from '@/realtime/topic'
import { ButtonLink } from '@/ui/button'
import { useToast } from '@/ui/toast'

/** A page says it once: there are two bells, one for each width. */
let telling = 0

export default function Bell() {
  const { data: person } = useSuspenseQuery(me())
  const { data } = useQuery(notices())
  const { data: muted } = useQuery({ ...mutes(), enabled: Boolean(person.email) })
  useToasts(new Set((muted ?? []).map(({ app }) => app)))
  const unseen = data?.unseen ?? 0
  return (
    <ButtonLink
      {...to.notifications()}
      look="quiet"
      size="icon"
      aria-label={unseen === 0 ? 'Notifications, nothing new' : `Notifications, ${unseen} new`}
      className="relative"
    >
      <Icon aria-hidden />
      {unseen === 0 ? null : (
        <span aria-hidden className="absolute top-0.5 right-0.5 min-w-4 rounded-full bg-accent px-1 text-center text-[0.625rem] leading-4 font-semibold text-on-accent tabular">
          {unseen > 99 ? '99+' : unseen}
        </span>
      )}
    </ButtonLink>
  )
}

function useToasts(muted: Set<string>): void {
  const client = useQueryClient()
  const router = useRouter()
  const toast = useToast()
  const quiet = useRef(muted)
  useEffect(() => {
    quiet.current = muted
  })
  useEffect(() => {
    telling += 1
    let newest = 0
    const leave =
      telling > 1
        ? undefined
        : followTopic('notices', {
            onMessage: (data) => {
              const notice = data as Notice
              // Another page may have wanted to hear of it again.
              if (notice.cursor <= newest) return
              newest = notice.cursor
              void client.invalidateQueries({ queryKey: ['notices'] })
              if (notice.app && quiet.current.has(notice.app)) return
              toast.show({
                tone: LEVELS[notice.level].tone,
                title: notice.title,
                key: `notice ${notice.deployment ?? notice.cursor}`,
                children: (
                  <a
                    href={notice.path}
                    className="touch text-accent hover:underline"
                    onClick={(event) => {
                      if (event.metaKey || event.ctrlKey || event.shiftKey) return
                      event.preventDefault()
                      router.history.push(notice.path)
                    }}
                  >
                    Look at it
                  </a>
                ),
              })
            },
          })
    return () => {
      telling -= 1
      leave?.()
    }
  }, [client, router, toast])
}

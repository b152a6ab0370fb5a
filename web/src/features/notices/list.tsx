// What has happened that people want to be told.
import { useRouter } from '@tanstack/react-router'
import type { Notice } from '@/api/schema'
import { cn } from '@/ui/cn'
import { Empty } from '@/ui/states'
import { Time } from '@/ui/time'
import { ink } from '@/ui/tone'
import { LEVELS } from './words'

/** `seen`: up to which event all is old to the person. */
export function NoticeList({ notices, seen }: { notices: Notice[]; seen: number }) {
  const router = useRouter()
  if (notices.length === 0) return <Empty title="Nothing to tell">What fails, gets stuck or succeeds in your apps stands here, but for those that you muted.</Empty>
  return (
    <ul aria-label="Notices, the newest first">
      {notices.map(({ cursor, level, title, body, path, at }) => {
        const { icon: Icon, tone, word } = LEVELS[level]
        const fresh = cursor > seen
        return (
          <li key={cursor} className={cn('flex gap-3 border-t border-line px-4 py-2.5', fresh && 'bg-accent-soft/50')}>
            <Icon className={cn('mt-0.5 size-4.5 shrink-0', ink[tone])} aria-hidden />
            <div className="min-w-0 grow">
              <a
                href={path}
                className="touch font-medium break-words hover:underline"
                onClick={(event) => {
                  if (event.metaKey || event.ctrlKey || event.shiftKey) return
                  event.preventDefault()
                  router.history.push(path)
                }}
              >
                <span className="sr-only">{word}: </span>
                {title}
              </a>
              {body ? <p className="text-sm break-words text-muted">{body}</p> : null}
            </div>
            <span className="flex shrink-0 flex-col items-end text-sm text-muted">
              <Time at={at} />
              {fresh ? <span className="font-medium text-accent">New</span> : null}
            </span>
          </li>
        )
      })}
    </ul>
  )
}

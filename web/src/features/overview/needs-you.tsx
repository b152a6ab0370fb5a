import { Link } from '@tanstack/react-router'
import { ChevronRight, CircleCheck, CircleX, TriangleAlert } from 'lucide-react'
import type { Need as Told } from '@/api/schema'
import { Card } from '@/ui/card'
import { cn } from '@/ui/cn'
import { Time } from '@/ui/time'
import { ink } from '@/ui/tone'
import { Words } from '@/ui/words'
import { needOf } from './needs'

export function NeedsYou({ needs }: { needs: Told[] }) {
  if (needs.length === 0) {
    return (
      <p className="flex items-center gap-2 text-good">
        <CircleCheck className="size-4.5" aria-hidden />
        Nothing needs you.
      </p>
    )
  }
  return (
    <Card title="Needs you" flush aside={<span className="text-sm text-muted tabular">{needs.length}</span>} className="overflow-hidden">
      <ul>
        {needs.map(needOf).map((need) => {
          const Icon = need.tone === 'bad' ? CircleX : TriangleAlert
          return (
            <li key={need.key} className="relative border-t border-line hover:bg-hover/60">
              <div className="flex items-start gap-3 px-4 py-2.5">
                <Icon className={cn('mt-0.5 size-4.5 shrink-0', ink[need.tone])} aria-hidden />
                <div className="min-w-0 grow">
                  <div className="flex flex-wrap items-baseline justify-between gap-x-4">
                    {need.link ? (
                      <Link {...need.link} className="font-medium before:absolute before:inset-0 hover:underline">
                        {need.title}
                      </Link>
                    ) : (
                      <span className="font-medium">{need.title}</span>
                    )}
                    <Time at={need.at} className="relative text-sm text-muted" />
                  </div>
                  {/* A failure is never cut short. */}
                  <p className="text-sm text-muted"><Words text={need.why} /></p>
                </div>
                {need.link ? <ChevronRight className="mt-0.5 size-4 shrink-0 text-muted" aria-hidden /> : null}
              </div>
            </li>
          )
        })}
      </ul>
    </Card>
  )
}

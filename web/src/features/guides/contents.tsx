import { Link } from '@tanstack/react-router'
import type { GuideContents } from '@/api/schema'
import { to } from '@/paths'
import { cn } from '@/ui/cn'

/** What a guide has in it. Its first section is its title. */
export function Contents({ guide, className }: { guide: GuideContents; className?: string }) {
  return (
    <ol className={className}>
      {guide.sections.slice(1).map(({ id, level, title }) => (
        <li key={id} className={cn('break-inside-avoid', level > 2 && 'pl-4')}>
          <Link {...to.guide(guide.page, id)} className="touch inline-flex items-center py-0.5 hover:underline">
            {title}
          </Link>
        </li>
      ))}
    </ol>
  )
}

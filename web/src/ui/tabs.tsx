import { type LinkComponent, createLink } from '@tanstack/react-router'
import type { ComponentProps, ReactNode } from 'react'
import { cn } from './cn'

/** Views of one thing, each with an address of its own. */
export const Tabs = ({ label, children }: { label: string; children: ReactNode }) => (
  <nav aria-label={label} className="-mx-4 flex gap-1 overflow-x-auto border-b border-line px-4 [scrollbar-width:none] sm:mx-0 sm:px-0">
    {children}
  </nav>
)

function Anchor({ className, ...rest }: ComponentProps<'a'>) {
  return (
    // oxlint-disable-next-line jsx-a11y/anchor-has-content
    <a
      {...rest}
      className={cn(
        'touch inline-flex items-center border-b-2 border-transparent px-2.5 pt-1.5 pb-2 whitespace-nowrap text-muted hover:text-text aria-[current=page]:border-accent aria-[current=page]:font-medium aria-[current=page]:text-text',
        className,
      )}
    />
  )
}

export const Tab: LinkComponent<typeof Anchor> = createLink(Anchor)

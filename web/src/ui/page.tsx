import { Link, type LinkProps } from '@tanstack/react-router'
import { type ReactNode, useEffect } from 'react'
import { setTitle } from './title'

interface Props {
  title: string
  /** Beside the title: a status. */
  beside?: ReactNode
  /** Where this page is in. */
  trail?: { word: string; link: LinkProps }[]
  /** Below the title: the one line that matters most. */
  lead?: ReactNode
  actions?: ReactNode
  tabs?: ReactNode
  /** For the tab's icon and title. */
  mood?: 'running' | 'failed'
  children: ReactNode
}

/** The frame of every page: where one is, what it is, what can be done. */
export function Page({ title, beside, trail, lead, actions, tabs, mood, children }: Props) {
  useEffect(() => {
    const words = [title, ...(trail ?? []).map(({ word }) => word).toReversed()]
    setTitle(words.join(' · '), mood)
  }, [title, trail, mood])
  return (
    <div className="mx-auto flex w-full max-w-6xl flex-col gap-4 px-4 py-4 sm:px-6 sm:py-6">
      <header className="flex flex-col gap-2">
        {trail && trail.length > 0 ? (
          <nav aria-label="Breadcrumb" className="text-sm text-muted">
            <ol className="flex flex-wrap items-center gap-x-1.5">
              {trail.map(({ word, link }, index) => (
                <li key={word} className="flex items-center gap-x-1.5">
                  <Link {...link} className="touch inline-flex items-center hover:text-text hover:underline">
                    {word}
                  </Link>
                  {index < trail.length - 1 ? <span aria-hidden>/</span> : null}
                </li>
              ))}
            </ol>
          </nav>
        ) : null}
        <div className="flex flex-wrap items-start gap-x-4 gap-y-3">
          <div className="min-w-0 grow">
            <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
              <h1 className="min-w-0 text-2xl font-semibold tracking-tight">{title}</h1>
              {beside}
            </div>
            {lead ? <div className="mt-1 text-muted">{lead}</div> : null}
          </div>
          {actions ? <div className="flex flex-wrap gap-2">{actions}</div> : null}
        </div>
        {tabs}
      </header>
      {children}
    </div>
  )
}

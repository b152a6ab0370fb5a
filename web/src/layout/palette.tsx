// Ctrl-K: to anything by a few letters. A list of ours: the library's combobox hides what has the focus while it is open.
import { Dialog as Base } from '@base-ui/react/dialog'
import { useQuery } from '@tanstack/react-query'
import { type LinkProps, useNavigate } from '@tanstack/react-router'
import { AppWindow, Boxes, type LucideIcon, Rocket, Search } from 'lucide-react'
import { type KeyboardEvent, useDeferredValue, useId, useMemo, useState } from 'react'
import { apps, deployments, overview } from '@/api/queries'
import { to } from '@/paths'
import { cn } from '@/ui/cn'
import { tail } from '@/ui/format'
import { phaseWord } from '@/ui/status'
import { places } from './navigation'
import { type Entry, rank } from './rank'

interface Choice extends Entry {
  icon: LucideIcon
  kind: string
  link: LinkProps
}

const MOST = 12

/** What Enter would choose is seen, also where the list is longer than the screen. */
const intoView = (choice: HTMLElement | null) => choice?.scrollIntoView({ block: 'nearest' })

export default function Palette({ open, onOpenChange }: { open: boolean; onOpenChange(open: boolean): void }) {
  return (
    <Base.Root open={open} onOpenChange={onOpenChange}>
      <Base.Portal>
        <Base.Backdrop className="fixed inset-0 z-40 bg-veil" />
        <Base.Popup className="fixed inset-x-3 top-3 z-40 mx-auto max-h-[calc(100dvh-1.5rem)] max-w-xl overflow-hidden rounded-xl border border-line bg-raised shadow-pop outline-none sm:top-[12vh]">
          <Base.Title className="sr-only">Search</Base.Title>
          <Finder close={() => onOpenChange(false)} />
        </Base.Popup>
      </Base.Portal>
    </Base.Root>
  )
}

function Finder({ close }: { close(): void }) {
  const list = useId()
  const [text, setText] = useState('')
  const [at, setAt] = useState(0)
  const search = useDeferredValue(text.trim().toLowerCase())
  const navigate = useNavigate()
  const choices = useChoices(search)
  const found = useMemo(() => rank(choices, search).slice(0, MOST), [choices, search])
  const current = Math.min(at, found.length - 1)
  const go = (choice: Choice | undefined) => {
    if (!choice) return
    close()
    void navigate(choice.link)
  }
  const pressed = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) {
      event.preventDefault()
      setAt((current + step + found.length) % Math.max(1, found.length))
    } else if (event.key === 'Enter') {
      event.preventDefault()
      go(found[current])
    }
  }
  return (
    <>
      <div className="flex items-center gap-2.5 border-b border-line px-4">
        <Search className="size-4 shrink-0 text-muted" aria-hidden />
        <input
          role="combobox"
          aria-label="Search for apps, environments, deployments and pages"
          aria-expanded={found.length > 0}
          aria-controls={list}
          aria-activedescendant={found.length > 0 ? `${list}-${current}` : undefined}
          aria-autocomplete="list"
          autoComplete="off"
          spellCheck={false}
          placeholder="App, environment, deployment, page …"
          value={text}
          onChange={(event) => {
            setText(event.target.value)
            setAt(0)
          }}
          onKeyDown={pressed}
          className="h-12 w-full bg-transparent text-lg outline-none placeholder:text-muted"
        />
      </div>
      <div id={list} role="listbox" aria-label="Found" className="max-h-[60dvh] overflow-y-auto p-1.5">
        {found.map((choice, index) => (
          // The keyboard is the field's: it moves through the list, and Enter chooses.
          // oxlint-disable-next-line jsx-a11y/click-events-have-key-events
          <div
            key={`${choice.kind} ${choice.word}`}
            id={`${list}-${index}`}
            role="option"
            ref={index === current ? intoView : undefined}
            tabIndex={-1}
            aria-selected={index === current}
            onPointerMove={() => setAt(index)}
            onClick={() => go(choice)}
            className={cn('touch flex cursor-pointer items-center gap-3 rounded-md px-2.5 py-2', index === current && 'bg-accent-soft')}
          >
            <choice.icon className="size-4 shrink-0 text-muted" aria-hidden />
            <span className="min-w-0 grow truncate">{choice.word}</span>
            <span className="shrink-0 text-sm text-muted">{choice.kind}</span>
          </div>
        ))}
      </div>
      {found.length === 0 ? <p className="px-4 pb-4 text-muted">Nothing is called “{text}”.</p> : null}
    </>
  )
}

/** What can be chosen: pages, what the cache knows, and what the server finds for the text. */
function useChoices(search: string): Choice[] {
  const { data: found } = useQuery({ ...apps({ search: search || undefined, limit: 20 }), placeholderData: (before) => before })
  const { data: latest } = useQuery(deployments({ limit: 10 }))
  const { data: seen } = useQuery(overview())
  return useMemo(() => {
    const pages = places.map(({ word, icon, link }): Choice => ({ word, icon, link, kind: 'Page' }))
    const of = (found?.items ?? []).map(({ name }): Choice => ({ word: name, icon: AppWindow, kind: 'App', link: to.app(name) }))
    const environments = (seen?.apps ?? []).flatMap(({ name: app, environments: all }) =>
      all.map(({ name }): Choice => ({ word: `${app} / ${name}`, icon: Boxes, kind: 'Environment', link: to.environment(app, name) })),
    )
    const recent = (latest?.items ?? []).map(
      ({ id, app, environment, phase }): Choice => ({
        word: `${app} / ${environment} · ${tail(id)}`,
        also: id,
        icon: Rocket,
        kind: phaseWord(phase),
        link: to.deployment(id),
      }),
    )
    return [...of, ...environments, ...pages, ...recent]
  }, [found, latest, seen])
}

// The frame around all pages: navigation at the side on a desktop, at the bottom on a phone.
import { Link } from '@tanstack/react-router'
import { CircleUser, Menu as MenuIcon, Search } from 'lucide-react'
import { type ReactNode, Suspense, lazy, useEffect, useState } from 'react'
import { to } from '@/paths'
import { useEvents } from '@/realtime/hub'
import { Button } from '@/ui/button'
import { cn } from '@/ui/cn'
import { Banners, ConnectionState } from './connection'
import { Keys } from './keys'
import { Mark } from './mark'
import { type Place, places } from './navigation'

// What is opened, not seen at once, comes when the page has been painted.
const later = {
  account: () => import('./account'),
  bell: () => import('./bell'),
  palette: () => import('./palette'),
  sheet: () => import('@/ui/sheet'),
  dialog: () => import('@/ui/dialog-parts'),
}
const Account = lazy(later.account)
const Bell = lazy(later.bell)
const Palette = lazy(later.palette)
const Sheet = lazy(later.sheet)

function useLater(): void {
  useEffect(() => {
    const load = () => {
      for (const part of Object.values(later)) void part().catch(() => {})
    }
    // Safari has no idle callback.
    if (typeof requestIdleCallback !== 'function') {
      const timer = setTimeout(load, 500)
      return () => clearTimeout(timer)
    }
    const idle = requestIdleCallback(load, { timeout: 2000 })
    return () => cancelIdleCallback(idle)
  }, [])
}

export function Shell({ children }: { children: ReactNode }) {
  useEvents()
  useLater()
  const [palette, setPalette] = useState(false)
  const [more, setMore] = useState(false)
  return (
    <div className="min-h-dvh lg:grid lg:grid-cols-[13.5rem_1fr]">
      <a
        href="#main"
        className="fixed top-2 left-2 z-50 -translate-y-16 rounded-md bg-accent px-3 py-2 text-on-accent focus:translate-y-0"
      >
        To the content
      </a>
      <aside className="sticky top-0 flex h-dvh flex-col gap-1 border-r border-line bg-surface p-3 max-lg:hidden">
        <Home className="mb-3 px-2 pt-1" />
        <SearchButton onClick={() => setPalette(true)} className="mb-2 w-full justify-start" wide />
        <nav aria-label="Pages" className="flex flex-col gap-0.5">
          {places.map((place) => (
            <SideLink key={place.word} place={place} />
          ))}
        </nav>
        <div className="mt-auto flex items-center justify-between border-t border-line px-1 pt-2">
          <ConnectionState />
          <span className="flex">
            <BellSoon />
            <AccountSoon />
          </span>
        </div>
      </aside>

      <div className="flex min-w-0 flex-col">
        <header className="sticky top-0 z-20 flex items-center gap-1 border-b border-line bg-surface px-2 py-1 lg:hidden">
          <Button look="quiet" size="icon" aria-label="All pages" onClick={() => setMore(true)}>
            <MenuIcon aria-hidden />
          </Button>
          <Home />
          <span className="grow" />
          <ConnectionState />
          <SearchButton onClick={() => setPalette(true)} />
          <BellSoon />
          <AccountSoon />
        </header>
        <Banners />
        {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
        <main id="main" tabIndex={-1} className="min-w-0 grow pb-16 outline-none lg:pb-0">
          {children}
        </main>
      </div>

      <nav
        aria-label="Main pages"
        className="fixed inset-x-0 bottom-0 z-20 grid auto-cols-fr grid-flow-col border-t border-line bg-surface pb-[env(safe-area-inset-bottom)] lg:hidden"
      >
        {places.filter(({ bottom }) => bottom).map((place) => (
          <Link
            key={place.word}
            {...place.link}
            activeOptions={{ exact: place.exact, includeSearch: false }}
            className="flex min-h-14 flex-col items-center justify-center gap-0.5 text-xs text-muted aria-[current=page]:font-medium aria-[current=page]:text-accent"
          >
            <place.icon className="size-5" aria-hidden />
            {place.word}
          </Link>
        ))}
      </nav>

      <Suspense fallback={null}>
      {more ? <Sheet open={more} onOpenChange={setMore} title="All pages">
        <div className="flex flex-col gap-1 p-3">
          <Home className="mb-2 px-2 pt-1" />
          {places.map((place) => (
            <SideLink key={place.word} place={place} onClick={() => setMore(false)} />
          ))}
        </div>
      </Sheet> : null}
      {palette ? <Palette open onOpenChange={setPalette} /> : null}
      </Suspense>
      <Keys openPalette={() => setPalette(true)} />
    </div>
  )
}

const Home = ({ className }: { className?: string }) => (
  <Link {...to.overview()} className={cn('touch inline-flex items-center gap-2 text-lg font-semibold tracking-tight', className)}>
    <Mark className="size-6 text-accent" />
    Plimsoll
  </Link>
)

const SideLink = ({ place, onClick }: { place: Place; onClick?(): void }) => (
  <Link
    {...place.link}
    onClick={onClick}
    activeOptions={{ exact: place.exact, includeSearch: false }}
    className="touch flex items-center gap-2.5 rounded-md px-2 py-1.5 text-muted hover:bg-hover hover:text-text aria-[current=page]:bg-accent-soft aria-[current=page]:font-medium aria-[current=page]:text-accent"
  >
    <place.icon className="size-4.5" aria-hidden />
    {place.word}
  </Link>
)

function SearchButton({ onClick, className, wide }: { onClick(): void; className?: string; wide?: boolean }) {
  if (!wide) {
    return (
      <Button look="quiet" size="icon" aria-label="Search" onClick={onClick}>
        <Search aria-hidden />
      </Button>
    )
  }
  return (
    <Button size="sm" onClick={onClick} className={cn('text-muted', className)} aria-keyshortcuts="Control+K Meta+K">
      <Search aria-hidden />
      <span className="grow text-left font-normal">Search</span>
      <kbd className="rounded border border-line px-1 text-xs">Ctrl K</kbd>
    </Button>
  )
}

const BellSoon = () => (
  <Suspense fallback={<span className="size-9" />}>
    <Bell />
  </Suspense>
)

const AccountSoon = () => (
  <Suspense
    fallback={
      <Button look="quiet" size="icon" aria-label="Account">
        <CircleUser aria-hidden />
      </Button>
    }
  >
    <Account />
  </Suspense>
)

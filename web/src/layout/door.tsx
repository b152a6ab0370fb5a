import { type ReactNode, useEffect } from 'react'
import { setTitle } from '@/ui/title'
import { Unencrypted } from './connection'
import { Mark } from './mark'

/** The frame of pages for who is not signed in. */
export function Door({ title, children }: { title: string; children: ReactNode }) {
  useEffect(() => setTitle(title), [title])
  return (
    <>
      <Unencrypted />
      <main className="flex min-h-dvh flex-col items-center px-4 pt-[12vh] pb-8">
        <p className="mb-6 inline-flex items-center gap-2 text-lg font-semibold tracking-tight">
          <Mark className="size-7 text-accent" />
          Plimsoll
        </p>
        <div className="w-full max-w-sm rounded-xl border border-line bg-surface p-6">
          <h1 className="mb-4 text-xl font-semibold tracking-tight">{title}</h1>
          {children}
        </div>
      </main>
    </>
  )
}

import { useQuery } from '@tanstack/react-query'
import { createFileRoute, useLocation } from '@tanstack/react-router'
import { useEffect } from 'react'
import { guide as guideOf } from '@/api/queries'
import type { Guide } from '@/api/schema'
import { Contents } from '@/features/guides/contents'
import { SearchField } from '@/features/guides/search'
import { Text } from '@/features/guides/text'
import { to } from '@/paths'
import { cn } from '@/ui/cn'
import { Page } from '@/ui/page'
import { Loaded } from '@/ui/states'

export const Route = createFileRoute('/_app/guides/$page')({
  loader: ({ context, params }) => void context.client.prefetchQuery(guideOf(params.page)),
  component: GuidePage,
})

function GuidePage() {
  const { page } = Route.useParams()
  const query = useQuery(guideOf(page))
  return (
    <Loaded query={query} title={page}>
      {(guide) => <Shown guide={guide} />}
    </Loaded>
  )
}

function Shown({ guide }: { guide: Guide }) {
  const { hash } = useLocation()
  // The text is there after the router has looked for the place.
  useEffect(() => {
    if (hash !== '') document.getElementById(hash)?.scrollIntoView()
  }, [hash, guide])
  const [first, ...sections] = guide.sections
  return (
    <Page title={guide.title} trail={[{ word: 'Guides', link: to.guides() }]}>
      <SearchField words="" />
      <div className="grid gap-6 lg:grid-cols-[1fr_15rem]">
        <div className="flex min-w-0 flex-col gap-3">
          {first ? <Text blocks={first.blocks} /> : null}
          {sections.map(({ id, level, title, blocks }) => (
            <section key={id} aria-labelledby={id} className="flex flex-col gap-3">
              <Title id={id} level={level}>
                {title}
              </Title>
              <Text blocks={blocks} />
            </section>
          ))}
        </div>
        <nav aria-label="In this guide" className="text-sm max-lg:hidden">
          <div className="sticky top-4 max-h-[calc(100dvh-2rem)] overflow-y-auto">
            <Contents guide={guide} />
          </div>
        </nav>
      </div>
    </Page>
  )
}

/** Below the header of a phone, when one comes by its address. */
function Title({ id, level, children }: { id: string; level: number; children: string }) {
  const Heading = level <= 2 ? 'h2' : level === 3 ? 'h3' : 'h4'
  return (
    <Heading id={id} tabIndex={-1} className={cn('scroll-mt-16 font-semibold outline-none', level <= 2 ? 'mt-4 border-t border-line pt-4 text-xl' : 'mt-2 text-lg')}>
      {children}
    </Heading>
  )
}

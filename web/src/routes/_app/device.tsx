import { createFileRoute } from '@tanstack/react-router'
import { device } from '@/api/queries'
import { AskCode } from '@/features/device/ask-code'
import { codeOf } from '@/features/device/code'
import { Waiting } from '@/features/device/waiting'
import { Page } from '@/ui/page'

export const Route = createFileRoute('/_app/device')({
  validateSearch: (search: Record<string, unknown>): { code?: string } =>
    typeof search.code === 'string' ? { code: search.code } : {},
  loaderDeps: ({ search }) => ({ code: codeOf(search.code) }),
  loader: ({ context, deps: { code } }) => {
    if (code !== undefined) void context.client.prefetchQuery(device(code))
  },
  component: Device,
})

function Device() {
  const search = Route.useSearch()
  const code = codeOf(search.code)
  return (
    <Page title="Let a program in">
      <div className="w-full max-w-xl">{code === undefined ? <AskCode typed={search.code} /> : <Waiting key={code} code={code} />}</div>
    </Page>
  )
}

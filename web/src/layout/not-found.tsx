import { to } from '@/paths'
import { ButtonLink } from '@/ui/button'
import { Page } from '@/ui/page'

export const NotFound = () => (
  <Page title="There is no such page">
    <p className="text-muted">The address is mistyped, or what it led to is gone.</p>
    <ButtonLink {...to.overview()} className="self-start">
      To the overview
    </ButtonLink>
  </Page>
)

// One release of many: back to it, in an environment that serves another one.
import { Undo2 } from 'lucide-react'
import { useState } from 'react'
import type { Environment, ReleaseStatus } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Button } from '@/ui/button'
import { Menu, MenuItem } from '@/ui/menu'
import { RollbackDialog } from './rollback'
import { targets } from './targets'

export function BackTo({ release, environments, app }: { release: ReleaseStatus; environments: Environment[]; app: string }) {
  const may = useMay()
  const [open, setOpen] = useState<Environment>()
  const found = targets(release, environments)
  const reason = typeof found === 'string' ? found : may('deployer', app)
  const [first, ...others] = typeof found === 'string' ? [] : found
  const word = (
    <>
      <Undo2 aria-hidden /> Roll back
    </>
  )
  const name = `Roll back to v${release.number}`
  return (
    <>
      {reason === undefined && others.length > 0 ? (
        <Menu
          trigger={
            <Button size="sm" aria-label={name}>
              {word}
            </Button>
          }
        >
          {[first, ...others].map((environment) =>
            environment ? (
              <MenuItem key={environment.id} onClick={() => setOpen(environment)}>
                {environment.name}
              </MenuItem>
            ) : null,
          )}
        </Menu>
      ) : (
        <Button size="sm" aria-label={name} disabledReason={reason} onClick={() => setOpen(first)}>
          {word}
        </Button>
      )}
      {open ? <RollbackDialog environment={open} release={release} close={() => setOpen(undefined)} /> : null}
    </>
  )
}

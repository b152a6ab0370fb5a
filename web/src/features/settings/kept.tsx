import type { RetentionPolicy } from '@/api/schema'
import { Code } from '@/ui/code'
import { Facts } from '@/ui/card'
import { number } from '@/ui/format'

const UNITS: Record<string, string> = { h: 'hours', d: 'days', w: 'weeks', y: 'years' }

/** `14d` as `14 days`, `1w` as `1 week`. Pure. */
export function ageInWords(age: string): string {
  const found = /^(\d+)([hdwy])$/.exec(age)
  if (!found) return age === 'forever' ? 'for ever' : age
  const [, count = '', unit = ''] = found
  const word = UNITS[unit] ?? unit
  return `${count} ${count === '1' ? word.slice(0, -1) : word}`
}

/** How long things are kept, unless an app has a policy of its own. */
export const Kept = ({ policy: { keep, apps = [] } }: { policy: RetentionPolicy }) => (
  <div className="flex flex-col gap-3">
    <Facts
      facts={[
        ['Releases', `the last ${number(keep.releases)} that served well in each environment`],
        ['Output', ageInWords(keep.outputs)],
        ['Events', ageInWords(keep.events)],
        ['Deployments', ageInWords(keep.deployments)],
      ]}
    />
    <p className="text-sm text-muted">
      {apps.length > 0 ? `With a policy of their own: ${apps.join(', ')}. ` : ''}Changed by <Code>plimsoll retention set</Code>.
    </p>
  </div>
)

// Wall clocks: which instants a time of day in a zone is. Pure.

const formats = new Map<string, Intl.DateTimeFormat>()

function formatOf(zone: string): Intl.DateTimeFormat {
  let format = formats.get(zone)
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      hourCycle: 'h23',
    })
    formats.set(zone, format)
  }
  return format
}

/** What the clocks of a zone show at an instant, as fields for times have it: `2026-11-21T19:53`. */
export function wall(at: number, zone: string): string {
  const parts = new Map(formatOf(zone).formatToParts(at).map(({ type, value }) => [type, value]))
  const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? ''
  return `${part('year')}-${part('month')}-${part('day')}T${part('hour')}:${part('minute')}`
}

const DAY = 86_400_000

/**
 * The instants at which the clocks of a zone show this: one as a rule, none where they are put forward over it, two where they are
 * put back, the earlier first.
 */
export function instants(local: string, zone: string): string[] {
  const plain = Date.parse(`${local}Z`)
  if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(local) || Number.isNaN(plain)) return []
  // How far the zone is from UTC before and after whatever is done to its clocks around then.
  const offsets = new Set([-DAY, 0, DAY].map((away) => Date.parse(`${wall(plain + away, zone)}Z`) - Math.floor((plain + away) / 60_000) * 60_000))
  return [...offsets]
    .map((offset) => plain - offset)
    .filter((at) => wall(at, zone) === local)
    .sort((a, b) => a - b)
    .map((at) => new Date(at).toISOString())
}

/** Every zone that this browser knows, and one that it may not know. */
export function zones(also?: string): string[] {
  const known = new Set(['UTC', ...Intl.supportedValuesOf('timeZone')])
  if (also) known.add(also)
  return [...known]
}

export const zoneOfBrowser = () => new Intl.DateTimeFormat().resolvedOptions().timeZone

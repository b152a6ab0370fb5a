// Numbers, times and sizes as people read them. Pure.

/** `850 ms`, `4.2 s`, `3 m 05 s`, `2 h 10 m`, `3 d 4 h`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const seconds = ms / 1000
  if (seconds < 10) return `${seconds.toFixed(1)} s`
  if (seconds < 60) return `${Math.floor(seconds)} s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes} m ${String(Math.floor(seconds % 60)).padStart(2, '0')} s`
  const hours = Math.floor(minutes / 60)
  if (hours < 48) return `${hours} h ${minutes % 60} m`
  return `${Math.floor(hours / 24)} d ${hours % 24} h`
}

/** `just now`, `12 s ago`, `5 min ago`, `in 2 h`, `3 days ago`. */
export function relative(at: number, now: number): string {
  const ahead = at > now
  const seconds = Math.floor(Math.abs(at - now) / 1000)
  if (seconds < 5) return 'just now'
  const text =
    seconds < 60
      ? `${seconds} s`
      : seconds < 3600
        ? `${Math.floor(seconds / 60)} min`
        : seconds < 86_400
          ? `${Math.floor(seconds / 3600)} h`
          : days(Math.floor(seconds / 86_400))
  return ahead ? `in ${text}` : `${text} ago`
}

function days(n: number): string {
  if (n < 60) return n === 1 ? '1 day' : `${n} days`
  if (n < 730) return `${Math.floor(n / 30)} months`
  return `${Math.floor(n / 365)} years`
}

const formats = new Map<string, Intl.DateTimeFormat>()

/** The instant in a zone, with the zone's name: `21 Nov 2026, 19:53:02 GMT+1`. The reader's zone without one. */
export function exact(at: string, zone?: string): string {
  const key = zone ?? ''
  let format = formats.get(key)
  if (!format) {
    format = new Intl.DateTimeFormat('en-GB', {
      day: 'numeric',
      month: 'short',
      year: 'numeric',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
      timeZoneName: 'short',
      timeZone: zone,
    })
    formats.set(key, format)
  }
  return format.format(new Date(at))
}

/** The time of day in a zone: `19:53`. */
export function clock(at: string, zone?: string): string {
  return new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', timeZone: zone }).format(new Date(at))
}

const grouped = new Intl.NumberFormat('en')
export const number = (n: number) => grouped.format(n)

/** `12`, `1.2 k`, `3.4 M`. */
export function short(n: number): string {
  if (n < 1000) return String(n)
  if (n < 1_000_000) return `${(n / 1000).toFixed(n < 10_000 ? 1 : 0)} k`
  return `${(n / 1_000_000).toFixed(1)} M`
}

/** `512 B`, `1.4 MiB`. */
export function bytes(n: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let unit = 0
  let size = n
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024
    unit += 1
  }
  return `${unit === 0 ? size : size.toFixed(1)} ${units[unit]}`
}

/** `0 %`, `0.4 %`, `12 %`. */
export function percent(share: number): string {
  const of = share * 100
  return `${of === 0 || of >= 10 ? Math.round(of) : of.toFixed(1)} %`
}

/** The last digits of an id: enough to tell two apart on a page. */
export const tail = (id: string) => id.slice(-6)

export const plural = (n: number, one: string, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`

// What needs somebody, in words. Which things those are, and which comes first, the server says. Pure.
import type { LinkProps } from '@tanstack/react-router'
import type { CertificateState, Need as Told } from '@/api/schema'
import { to } from '@/paths'
import { plural } from '@/ui/format'

export interface Need {
  key: string
  tone: 'bad' | 'warn'
  /** What and where. */
  title: string
  /** Why, in one line. */
  why: string
  at: string
  /** Where something can be done about it. */
  link?: LinkProps
}

const CERTIFICATES: Record<CertificateState, string> = {
  serving: 'is in order',
  expiring: 'expires soon',
  expired: 'has expired',
  not_yet_valid: 'is not valid yet',
  unserved: 'is not served',
}

export function needOf(told: Told): Need {
  const place = 'environment' in told ? `${told.app} / ${told.environment}` : ''
  switch (told.kind) {
    case 'stuck':
      return { key: told.deployment, tone: 'bad', title: `${place} is stuck`, why: told.why, at: told.at, link: to.deployment(told.deployment) }
    case 'stalled':
      return { key: told.deployment, tone: 'warn', title: `${place} shows no progress`, why: told.why, at: told.at, link: to.deployment(told.deployment) }
    case 'failed': {
      const what = told.phase === 'rolled_back' ? 'was rolled back' : 'failed to deploy'
      return { key: told.deployment, tone: 'bad', title: `${place} ${what}`, why: told.why, at: told.at, link: to.deployment(told.deployment) }
    }
    case 'crash_loop':
      return {
        key: `loop ${place}`,
        tone: 'bad',
        title: `${place} keeps crashing`,
        why: `${plural(told.instances, 'instance')}, last ended with: ${told.last_exit}`,
        at: told.at,
        link: to.environment(told.app, told.environment),
      }
    case 'approval':
      return {
        key: told.approval,
        tone: 'warn',
        title: `${place} waits for your vote`,
        why: `${told.requested_by} asks for ${told.what}`,
        at: told.at,
        link: to.deployment(told.deployment),
      }
    case 'channel':
      return {
        key: told.channel,
        tone: 'warn',
        title: `The channel ${told.name}${told.app ? ` of ${told.app}` : ''} does not work`,
        why: told.enabled ? 'Messages to it do not arrive.' : 'Its receiver wants nothing more, so it was switched off.',
        at: told.at,
        link: to.notifications(),
      }
    case 'certificate': {
      const soon = told.state === 'expiring' || told.state === 'not_yet_valid'
      return {
        key: told.certificate,
        tone: soon ? 'warn' : 'bad',
        title: `The certificate of ${told.names.join(', ')} ${CERTIFICATES[told.state]}`,
        why: told.why,
        at: told.at,
      }
    }
    default:
      return unknown(told)
  }
}

/** What a server of another version than this page tells: in its own words, as far as there are any. */
function unknown(told: Record<string, unknown>): Need {
  const text = (...names: string[]) => names.map((name) => told[name]).find((value): value is string => typeof value === 'string' && value !== '')
  const [kind = 'something', app, environment, deployment] = [text('kind'), text('app'), text('environment'), text('deployment')]
  const what = `${kind.charAt(0).toUpperCase()}${kind.slice(1).replaceAll('_', ' ')}`
  const place = [app, environment].filter(Boolean).join(' / ') || text('name')
  return {
    key: `${kind} ${text(kind, 'id') ?? deployment ?? `${place ?? ''} ${text('at') ?? ''}`}`,
    tone: 'warn',
    title: place ? `${what}: ${place}` : what,
    why: text('why', 'what', 'message', 'detail') ?? 'This page does not know it yet. Load it again.',
    at: text('at') ?? new Date().toISOString(),
    link: deployment ? to.deployment(deployment) : app && environment ? to.environment(app, environment) : app ? to.app(app) : undefined,
  }
}

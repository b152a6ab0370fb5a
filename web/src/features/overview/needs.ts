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
  const place = 'app' in told ? `${told.app} / ${told.environment}` : ''
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
  }
}

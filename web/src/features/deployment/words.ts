import type { Deployment } from '@/api/schema'

/** What a deployment is called: what it does, and with which version. */
export function nameOf(deployment: Deployment): string {
  const { kind, release_number: release, metadata } = deployment
  const version = release ? `v${release}` : undefined
  const what = version ?? metadata.reference ?? metadata.commit?.sha.slice(0, 7)
  switch (kind) {
    case 'deploy':
      return what ? `Deploy ${what}` : 'Deploy'
    case 'rollback':
      return version ? `Roll back to ${version}` : 'Roll back'
    case 'promotion':
      return version ? `Promote ${version}` : 'Promote'
  }
}

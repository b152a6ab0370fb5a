import type { Environment, Finding } from '@/api/schema'

type End = Pick<Environment, 'name' | 'active'>

/** Why what an environment serves can't go on to another; nothing when it can. Pure. */
export function promotable(environments: End[], from: string): string | undefined {
  if (!environments.find(({ name }) => name === from)?.active) return 'Nothing serves here yet'
  return environments.length > 1 ? undefined : 'There is no other environment to promote to: the first deployment to one makes it'
}

/** Where it most likely goes: to production, or to the first other one. */
export function likely(environments: End[], from: string): string | undefined {
  const others = environments.filter(({ name }) => name !== from)
  return (others.find(({ name }) => name === 'production') ?? others[0])?.name
}

export const blocking = (findings: Finding[]) => findings.filter(({ severity }) => severity === 'blocking')

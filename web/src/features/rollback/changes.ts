import type { ReleaseStatus } from '@/api/schema'

type Of = Pick<ReleaseStatus, 'spec' | 'variables'>

/** What is different in `to`, in sentences: components, routes, variables that are asked for. Pure. */
export function changes(from: Of, to: Of): string[] {
  const found: string[] = []
  const before = new Map(from.spec.components.map((component) => [component.name, component]))
  const after = new Map(to.spec.components.map((component) => [component.name, component]))
  for (const name of before.keys()) if (!after.has(name)) found.push(`The component ${name} goes`)
  for (const name of after.keys()) if (!before.has(name)) found.push(`The component ${name} comes`)
  for (const [name, component] of after) {
    const old = before.get(name)
    if (!old) continue
    if (JSON.stringify(old.routes) !== JSON.stringify(component.routes)) found.push(`The routes of ${name} change`)
    if (JSON.stringify(old.serve) !== JSON.stringify(component.serve)) found.push(`How ${name} is run changes`)
    if (JSON.stringify(old.health) !== JSON.stringify(component.health)) found.push(`The health check of ${name} changes`)
    if (JSON.stringify(old.limits ?? null) !== JSON.stringify(component.limits ?? null)) found.push(`The limits of ${name} change`)
  }
  for (const name of to.variables) if (!from.variables.includes(name)) found.push(`It is given the variable ${name}`)
  for (const name of from.variables) if (!to.variables.includes(name)) found.push(`It is not given the variable ${name} any more`)
  return found
}

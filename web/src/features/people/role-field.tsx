import type { Role } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { Field, Select } from '@/ui/field'
import { ROLES, roleMeans, roleWord } from './roles'

interface Props<Value extends Role | 'none'> {
  value: Value
  onChange(value: Value): void
  /** At this app; everywhere without one. */
  app?: string
  /** Offers to have none, too. */
  none?: boolean
  error?: string
}

/** Chooses a role, and says what it means. Nobody gives more than they have. */
export function RoleField<Value extends Role | 'none'>({ value, onChange, app, none, error }: Props<Value>) {
  const may = useMay()
  const hint = value === 'none' ? 'Keeps the roles at single apps, and sees nothing else.' : roleMeans(value, app)
  const tooMuch = app === undefined ? undefined : may('owner', app)
  return (
    <Field label="Role" hint={tooMuch ? `${hint} Only owners make owners.` : hint} error={error}>
      <Select value={value} onChange={(event) => onChange(event.target.value as Value)}>
        {none ? <option value="none">None everywhere</option> : null}
        {ROLES.map((role) => (
          <option key={role} value={role} disabled={role === 'owner' && tooMuch !== undefined}>
            {roleWord[role]}
          </option>
        ))}
      </Select>
    </Field>
  )
}

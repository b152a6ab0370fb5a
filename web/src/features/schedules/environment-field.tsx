import { Field, Input } from '@/ui/field'

/** Those that there are, and any other: the first deployment makes it. */
export function EnvironmentField(props: { value: string; onChange(name: string): void; names: string[]; error?: string; hint?: string; placeholder?: string }) {
  return (
    <Field label="Environment" error={props.error} hint={props.hint}>
      <Input
        value={props.value}
        list="environments"
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        placeholder={props.placeholder}
        onChange={(event) => props.onChange(event.target.value)}
      />
      <datalist id="environments">
        {props.names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </datalist>
    </Field>
  )
}

import type { Ref } from 'react'
import { Field, Input } from './field'

interface Props {
  value: string
  onChange(code: string): void
  error?: string
  ref?: Ref<HTMLInputElement>
  /** Where the page has nothing else to do. */
  autoFocus?: boolean
}

/** For a code of the second factor, whichever of both kinds. */
export const CodeField = ({ value, onChange, error, ref, autoFocus }: Props) => (
  <Field label="Code" hint="Six digits from your authenticator, or one of your recovery codes. Each is good once." error={error}>
    <Input
      ref={ref}
      // oxlint-disable-next-line jsx-a11y/no-autofocus
      autoFocus={autoFocus}
      inputMode="text"
      autoComplete="one-time-code"
      autoCapitalize="none"
      spellCheck={false}
      value={value}
      onChange={(event) => onChange(event.target.value)}
      className="text-lg tracking-widest"
    />
  </Field>
)

/** As it is sent: people type codes in groups. */
export const bare = (code: string) => code.replaceAll(/\s/g, '')

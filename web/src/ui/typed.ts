import { useState } from 'react'

/** What is typed; when the address changes, what that says. The field stays, and with it the focus. */
export function useTyped(outside: string): [string, (to: string) => void] {
  const [value, setValue] = useState(outside)
  const [seen, setSeen] = useState(outside)
  if (seen !== outside) {
    setSeen(outside)
    setValue(outside)
  }
  return [value, setValue]
}

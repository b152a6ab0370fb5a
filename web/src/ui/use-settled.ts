import { useEffect, useState } from 'react'

/** The value once it has stayed the same for so long: what is asked while somebody types is asked when they pause. */
export function useSettled<T extends string | undefined>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms)
    return () => clearTimeout(timer)
  }, [value, ms])
  return settled
}

import { type ClassValue, clsx } from 'clsx'
import { extendTailwindMerge } from 'tailwind-merge'

const merge = extendTailwindMerge({ extend: { classGroups: { shadow: ['shadow-pop'] } } })

/** Class names; a later one wins over an earlier one of the same kind. */
export const cn = (...classes: ClassValue[]) => merge(clsx(classes))

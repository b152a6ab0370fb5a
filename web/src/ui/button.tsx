import { type LinkComponent, createLink } from '@tanstack/react-router'
import { type VariantProps, cva } from 'class-variance-authority'
import { LoaderCircle } from 'lucide-react'
import { type ComponentProps, useId } from 'react'
import { cn } from './cn'
import { Tooltip } from './tooltip'

export const looks = cva(
  'touch inline-flex shrink-0 items-center justify-center gap-1.5 rounded-md border font-medium whitespace-nowrap transition-colors select-none [&_svg]:size-4 [&_svg]:shrink-0 aria-disabled:cursor-not-allowed aria-disabled:opacity-55',
  {
    variants: {
      look: {
        primary: 'border-transparent bg-accent text-on-accent not-aria-disabled:hover:bg-accent-strong',
        plain: 'border-edge/60 bg-surface text-text not-aria-disabled:hover:border-edge not-aria-disabled:hover:bg-hover',
        quiet: 'border-transparent text-text not-aria-disabled:hover:bg-hover',
        danger: 'border-transparent bg-bad text-on-bad not-aria-disabled:hover:bg-bad-strong',
      },
      size: {
        md: 'h-9 px-3.5 text-base',
        sm: 'h-8 px-2.5 text-sm',
        icon: 'size-9 p-0',
      },
    },
    defaultVariants: { look: 'plain', size: 'md' },
  },
)

type Looks = VariantProps<typeof looks>

interface Props extends Omit<ComponentProps<'button'>, 'disabled'>, Looks {
  /** At work: it says so, and takes no second click. */
  busy?: boolean
  /** Why it can't be used now. It stays where it is, can be focused, and tells. */
  disabledReason?: string
}

export function Button({ look, size, busy, disabledReason, className, children, onClick, type, ...rest }: Props) {
  const reason = useId()
  const off = busy || disabledReason !== undefined
  const button = (
    <button
      {...rest}
      // oxlint-disable-next-line react/button-has-type
      type={type ?? 'button'}
      className={cn(looks({ look, size }), className)}
      aria-disabled={off || undefined}
      aria-describedby={disabledReason ? reason : rest['aria-describedby']}
      onClick={(event) => {
        if (off) event.preventDefault()
        else onClick?.(event)
      }}
    >
      {busy ? <LoaderCircle className="animate-spin" aria-hidden /> : null}
      {children}
    </button>
  )
  if (!disabledReason) return button
  return (
    <>
      <Tooltip text={disabledReason}>{button}</Tooltip>
      <span id={reason} hidden>
        {disabledReason}
      </span>
    </>
  )
}

function Anchor({ look, size, className, ...rest }: ComponentProps<'a'> & Looks) {
  // oxlint-disable-next-line jsx-a11y/anchor-has-content
  return <a {...rest} className={cn(looks({ look, size }), className)} />
}

/** Looks like a button and leads somewhere. */
export const ButtonLink: LinkComponent<typeof Anchor> = createLink(Anchor)

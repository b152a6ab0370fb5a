import { Menu as Base } from '@base-ui/react/menu'
import { Check } from 'lucide-react'
import type { ReactElement, ReactNode } from 'react'
import { cn } from './cn'

/** Actions that are not worth a button each. `trigger` is a button. */
export function Menu({ trigger, children }: { trigger: ReactElement; children: ReactNode }) {
  return (
    <Base.Root>
      <Base.Trigger render={trigger} />
      <Base.Portal>
        <Base.Positioner sideOffset={6} align="end" className="z-50">
          <Base.Popup className="min-w-44 rounded-lg border border-line bg-raised p-1 shadow-pop outline-none">{children}</Base.Popup>
        </Base.Positioner>
      </Base.Portal>
    </Base.Root>
  )
}

const item =
  'touch flex w-full items-center gap-2.5 rounded-md px-2.5 py-1.5 text-left outline-none select-none data-disabled:opacity-55 data-highlighted:bg-hover [&_svg]:size-4 [&_svg]:shrink-0'

interface ItemProps {
  onClick(): void
  children: ReactNode
  /** Why it can't be chosen now: it stays, and tells. */
  disabledReason?: string
}

export const MenuItem = ({ onClick, children, disabledReason }: ItemProps) => (
  <Base.Item className={cn(item, disabledReason && 'max-w-72')} onClick={onClick} disabled={disabledReason !== undefined}>
    {disabledReason === undefined ? (
      children
    ) : (
      <span>
        <span className="flex items-center gap-2.5">{children}</span>
        <span className="block text-xs">{disabledReason}</span>
      </span>
    )}
  </Base.Item>
)

/** One of several that exclude each other. */
export function MenuChoice<Value extends string>(props: {
  label: string
  value: Value
  onChange(value: Value): void
  options: [Value, string][]
}) {
  return (
    <Base.RadioGroup value={props.value} onValueChange={(value) => props.onChange(value as Value)}>
      <Base.Group>
        <Base.GroupLabel className="px-2.5 pt-1.5 pb-0.5 text-xs text-muted">{props.label}</Base.GroupLabel>
        {props.options.map(([value, word]) => (
          <Base.RadioItem key={value} value={value} className={item}>
            <span className="grow">{word}</span>
            <Base.RadioItemIndicator>
              <Check aria-hidden />
            </Base.RadioItemIndicator>
          </Base.RadioItem>
        ))}
      </Base.Group>
    </Base.RadioGroup>
  )
}

export const MenuLabel = ({ children }: { children: ReactNode }) => <div className="px-2.5 py-1.5 text-sm text-muted">{children}</div>
export const MenuLine = () => <Base.Separator className="my-1 h-px bg-line" />

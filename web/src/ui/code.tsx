import { Check, Copy } from 'lucide-react'
import { type ReactNode, useRef, useState } from 'react'
import { Button } from './button'
import { cn } from './cn'

/** Ids, commands, paths: in the fixed font, within a text. */
export const Code = ({ children, className }: { children: ReactNode; className?: string }) => (
  <code className={cn('rounded-sm bg-sunken px-1 py-px text-[0.92em] break-words text-text', className)}>{children}</code>
)

/** Copies; where the browser keeps the clipboard from pages without TLS, marks the text for Ctrl-C. */
async function copy(text: string, from: HTMLElement | null): Promise<'copied' | 'marked'> {
  try {
    await navigator.clipboard.writeText(text)
    return 'copied'
  } catch {
    if (from) getSelection()?.selectAllChildren(from)
    // Old and discouraged, and the only way on plain HTTP.
    return document.execCommand('copy') ? 'copied' : 'marked'
  }
}

/** Something to take along: a command, a token, a link. */
export function CodeBlock({ text, label, className }: { text: string; label: string; className?: string }) {
  const pre = useRef<HTMLPreElement>(null)
  const [state, setState] = useState<'copied' | 'marked'>()
  const go = async () => {
    setState(await copy(text, pre.current))
    setTimeout(() => setState(undefined), 2500)
  }
  return (
    <div className={cn('flex items-start gap-2 rounded-md border border-line bg-sunken p-1 pl-3', className)}>
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre ref={pre} tabIndex={0} aria-label={label} className="min-w-0 grow overflow-x-auto py-1.5 text-sm whitespace-pre-wrap break-all">
        {text}
      </pre>
      <Button look="quiet" size="sm" onClick={() => void go()} aria-label={`Copy: ${label}`}>
        {state === 'copied' ? <Check aria-hidden /> : <Copy aria-hidden />}
        <span aria-live="polite">{state === 'copied' ? 'Copied' : state === 'marked' ? 'Press Ctrl-C' : 'Copy'}</span>
      </Button>
    </div>
  )
}

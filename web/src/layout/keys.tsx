// Keys for people who are on call. Single letters work outside of fields only; `?` lists them.
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useRef, useState } from 'react'
import { keysWork } from '@/preferences'
import { Dialog } from '@/ui/dialog'
import { places } from './navigation'

const typing = (target: EventTarget | null) =>
  target instanceof HTMLElement && (target.isContentEditable || ['INPUT', 'TEXTAREA', 'SELECT'].includes(target.tagName))

export function Keys({ openPalette }: { openPalette(): void }) {
  const navigate = useNavigate()
  const [help, setHelp] = useState(false)
  const going = useRef(0)
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault()
        openPalette()
        return
      }
      if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target) || !keysWork()) return
      if (document.querySelector('[role=dialog], [role=alertdialog]')) return
      if (event.key === '?') setHelp(true)
      else if (event.key === '/') {
        event.preventDefault()
        openPalette()
      } else if (event.key === 'g') going.current = event.timeStamp
      else if (event.timeStamp - going.current < 1500) {
        going.current = 0
        const place = places.find(({ key }) => key === event.key)
        if (place) void navigate(place.link)
      }
    }
    addEventListener('keydown', pressed)
    return () => removeEventListener('keydown', pressed)
  }, [navigate, openPalette])
  const rows: [string[], string][] = [
    [['Ctrl', 'K'], 'Search for apps, environments, deployments and pages'],
    [['/'], 'The same'],
    ...places.map(({ key, word }): [string[], string] => [['g', key], word]),
    [['Enter'], 'In the search of a log: the next match; with Shift, the one before'],
    [['Esc'], 'Closes what is open, and empties the search of a log'],
    [['?'], 'This list'],
  ]
  return (
    <Dialog open={help} onOpenChange={setHelp} title="Keys">
      <dl className="grid grid-cols-[auto_1fr] items-center gap-x-4 gap-y-2">
        {rows.map(([keys, word]) => (
          <div key={word} className="contents">
            <dt className="flex gap-1">
              {keys.map((key) => (
                <kbd key={key} className="min-w-6 rounded border border-line bg-sunken px-1.5 text-center text-sm">
                  {key}
                </kbd>
              ))}
            </dt>
            <dd>{word}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}

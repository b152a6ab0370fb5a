import { useChoose } from '@/layout/personal'
import { type Theme, keysWork, letKeysWork, usePreferences } from '@/preferences'
import { Card } from '@/ui/card'
import { Checkbox, Field, Select } from '@/ui/field'
import { zoneOfBrowser, zones } from '@/ui/zones'

const THEMES: [Theme, string][] = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
]

/** How pages look and in which zone times are told: here at once, and in other browsers in which nothing was chosen. */
export function Appearance() {
  const { theme, zone } = usePreferences()
  const choose = useChoose()
  return (
    <Card title="Appearance">
      <div className="flex flex-col gap-4">
        <Field label="Colours">
          <Select value={theme} onChange={(event) => void choose({ theme: event.target.value as Theme })}>
            {THEMES.map(([value, word]) => (
              <option key={value} value={value}>
                {word}
              </option>
            ))}
          </Select>
        </Field>
        <Field label="Time zone" hint="In which times are shown">
          <Select value={zone ?? ''} onChange={(event) => void choose({ zone: event.target.value || undefined })}>
            <option value="">As the browser: {zoneOfBrowser()}</option>
            {zones(zone).map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </Select>
        </Field>
        <Checkbox
          label="Single keys work"
          hint="Such as ? for the list of them. Ctrl K works all the same. In this browser."
          defaultChecked={keysWork()}
          onChange={(event) => letKeysWork(event.target.checked)}
        />
      </div>
    </Card>
  )
}

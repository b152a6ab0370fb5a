import type { App, Priority } from '@/api/schema'
import { useMay } from '@/api/use-me'
import { PRIORITIES } from '@/features/queue/priorities'
import { Field, Input, Select, TextArea } from '@/ui/field'
import type { Form } from '@/ui/form'
import { InstantField } from '@/ui/instant-field'
import type { Wanted } from './order'

/** What is deployed and when; what few need is behind a click. */
export function OrderFields({ app, form: { values, set, errors }, home }: { app: App; form: Form<Wanted>; home: string }) {
  const notCritical = useMay()('admin', app.name)
  const git = app.source?.kind === 'git' ? app.source : undefined
  return (
    <>
      {git ? (
        <Field label="Branch, tag or commit" hint={git.reference ? `Empty: ${git.reference}` : 'Empty: the repository’s default branch'} error={errors.reference}>
          <Input
            value={values.reference}
            placeholder={git.reference ?? 'default branch'}
            spellCheck={false}
            autoCapitalize="none"
            autoComplete="off"
            onChange={(event) => set('reference', event.target.value)}
          />
        </Field>
      ) : null}
      <Field label="Priority" hint={notCritical ? 'Critical is for admins of the app.' : undefined} error={errors.priority}>
        <Select value={values.priority} onChange={(event) => set('priority', event.target.value as Priority)}>
          {PRIORITIES.map(([value, word]) => (
            <option key={value} value={value} disabled={value === 'critical' && notCritical !== undefined}>
              {word}
            </option>
          ))}
        </Select>
      </Field>
      {values.priority === 'critical' ? (
        <Field label="Past a closed window, because" hint="Empty: it waits for the window. The reason stays on record with your name." error={errors.bypass_window}>
          <Input
            value={values.bypass_window}
            maxLength={200}
            autoComplete="off"
            placeholder="the shop is down"
            onChange={(event) => set('bypass_window', event.target.value)}
          />
        </Field>
      ) : null}
      <More word="At a later time" open={errors.not_before !== undefined}>
        <InstantField label="Not before" hint="Empty: as soon as its turn comes" home={home} value={values.not_before} onChange={(time) => set('not_before', time)} error={errors.not_before} />
      </More>
      <More word="Tags and metadata" open={errors.tags !== undefined || errors.metadata !== undefined}>
        <div className="flex flex-col gap-4">
          <Field label="Tags" hint="By which the release is found again, such as v1.2; several with spaces between." error={errors.tags}>
            <Input value={values.tags} autoComplete="off" autoCapitalize="none" spellCheck={false} onChange={(event) => set('tags', event.target.value)} />
          </Field>
          <Field label="Metadata" hint="A line each, such as ticket = SHOP-12. No secrets: all who see the app see it." error={errors.metadata}>
            <TextArea
              value={values.metadata}
              autoComplete="off"
              autoCapitalize="none"
              spellCheck={false}
              className="font-mono"
              onChange={(event) => set('metadata', event.target.value)}
            />
          </Field>
        </div>
      </More>
    </>
  )
}

/** Behind a click, unless something in it is wrong. */
const More = ({ word, open, children }: { word: string; open: boolean; children: React.ReactNode }) => (
  <details open={open || undefined}>
    <summary className="touch cursor-pointer py-1 text-sm font-medium text-accent hover:underline">{word}</summary>
    <div className="mt-2">{children}</div>
  </details>
)

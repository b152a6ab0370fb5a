import { useQueryClient } from '@tanstack/react-query'
import { approvalPolicies, setApprovalPolicy } from '@/api/approvals'
import type { ApprovalPolicy, Role } from '@/api/schema'
import { Checkbox, Field, Select } from '@/ui/field'
import { useForm } from '@/ui/form'
import { FormDialog } from '@/ui/form-dialog'
import { useToast } from '@/ui/toast'
import { lifetimeInWords } from './words'

const ROLES: [Role, string][] = [
  ['deployer', 'Deployers and above'],
  ['admin', 'Admins and owners'],
  ['owner', 'Owners alone'],
]
const TIMES = ['1h', '4h', '1d', '3d', '7d', '30d']

/** Who is asked before something is deployed to an environment. */
export default function EditPolicy({ app, environment, policy, close }: { app: string; environment: string; policy?: ApprovalPolicy; close(): void }) {
  const client = useQueryClient()
  const toast = useToast()
  const form = useForm({
    initial: {
      required: policy?.required ?? 1,
      role: policy?.role ?? ('admin' as Role),
      rollbacks: policy?.rollbacks ?? false,
      bypasses: policy?.bypasses ?? false,
      expires_in: policy?.expires_in ?? '1d',
    },
    submit: async (values, key) => {
      await setApprovalPolicy(app, environment, values, key)
      await client.invalidateQueries(approvalPolicies(app))
      toast.show({ tone: 'good', title: `Deployments to ${environment} wait for approval from now on.` })
      close()
    },
  })
  const { values, set, errors } = form
  const times = TIMES.includes(values.expires_in) ? TIMES : [values.expires_in, ...TIMES]
  return (
    <FormDialog
      form={form}
      close={close}
      title={`Approval for ${app} / ${environment}`}
      description="It holds for what is ordered from now on. Whoever orders a deployment never counts, nor do programs."
      action={policy ? 'Change' : 'Ask from now on'}
      safe="Keep as it is"
      off={policy && !form.changed ? 'Nothing is changed yet' : undefined}
    >
      <div className="grid gap-4 sm:grid-cols-2">
        <Field label="How many approve" error={errors.required}>
          <Select value={values.required} onChange={(event) => set('required', Number(event.target.value))}>
            {[1, 2, 3, 4, 5].map((count) => (
              <option key={count} value={count}>
                {count === 1 ? 'One person' : `${count} people`}
              </option>
            ))}
          </Select>
        </Field>
        <Field label="Who may" error={errors.role}>
          <Select value={values.role} onChange={(event) => set('role', event.target.value as Role)}>
            {ROLES.map(([value, word]) => (
              <option key={value} value={value}>
                {word}
              </option>
            ))}
          </Select>
        </Field>
      </div>
      <Field label="Votes may take" hint="Then the deployment ends without having begun." error={errors.expires_in}>
        <Select value={values.expires_in} onChange={(event) => set('expires_in', event.target.value)}>
          {times.map((time) => (
            <option key={time} value={time}>
              {lifetimeInWords(time)}
            </option>
          ))}
        </Select>
      </Field>
      <Checkbox
        label="Rollbacks wait, too"
        hint="They end outages: usually they should not wait."
        checked={values.rollbacks}
        onChange={(event) => set('rollbacks', event.target.checked)}
      />
      <Checkbox
        label="Ask about going past a closed window"
        hint="Whoever wants to is named with who approved of it."
        checked={values.bypasses}
        onChange={(event) => set('bypasses', event.target.checked)}
      />
    </FormDialog>
  )
}

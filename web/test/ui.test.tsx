import { render, screen, waitFor } from '@testing-library/react'
import userEvent from '@testing-library/user-event'
import { describe, expect, it, vi } from 'vitest'
import { NetworkError } from '@/api/errors'
import { Button } from '@/ui/button'
import { ConfirmProvider, useConfirm } from '@/ui/confirm'
import { CloseButton, Dialog } from '@/ui/dialog'
import { Field, Input } from '@/ui/field'
import { Status, healthOf, standingOf } from '@/ui/status'
import { Failed } from '@/ui/states'

describe('a button', () => {
  it('that can’t be used stays there, can be focused, and says why', async () => {
    const click = vi.fn<() => void>()
    render(
      <Button disabledReason="Nothing serves here yet" onClick={click}>
        Roll back
      </Button>,
    )
    const button = screen.getByRole('button', { name: 'Roll back' })
    expect(button).toHaveAccessibleDescription('Nothing serves here yet')
    expect(button).toHaveAttribute('aria-disabled', 'true')
    await userEvent.click(button)
    button.focus()
    await userEvent.keyboard('{Enter}')
    expect(button).toHaveFocus()
    expect(click).not.toHaveBeenCalled()
  })

  it('at work takes no second click', async () => {
    const click = vi.fn<() => void>()
    render(
      <Button busy onClick={click}>
        Deploy
      </Button>,
    )
    await userEvent.click(screen.getByRole('button', { name: 'Deploy' }))
    expect(click).not.toHaveBeenCalled()
  })
})

it('a field tells its name, its hint and its error', () => {
  render(
    <Field label="Name" hint="Small letters" error="It is taken">
      <Input />
    </Field>,
  )
  const input = screen.getByRole('textbox', { name: 'Name' })
  expect(input).toHaveAccessibleDescription('Small letters It is taken')
  expect(input).toBeInvalid()
})

it('an error says what to do, and can be tried again', async () => {
  const retry = vi.fn<() => void>()
  render(<Failed error={new NetworkError()} retry={retry} />)
  expect(screen.getByRole('alert')).toHaveTextContent('Apps keep serving meanwhile')
  await userEvent.click(screen.getByRole('button', { name: 'Try again' }))
  expect(retry).toHaveBeenCalledTimes(1)
})

describe('the question before something happens', () => {
  function Page({ run, type }: { run(): Promise<unknown>; type?: string }) {
    const confirm = useConfirm()
    return (
      <button type="button" onClick={() => confirm({ title: 'Delete shop?', will: ['2 instances end'], action: 'Delete', danger: true, type, run })}>
        open
      </button>
    )
  }
  const open = async (run: () => Promise<unknown>, type?: string) => {
    render(
      <ConfirmProvider>
        <Page run={run} type={type} />
      </ConfirmProvider>,
    )
    await userEvent.click(screen.getByRole('button', { name: 'open' }))
    await screen.findByRole('dialog', { name: 'Delete shop?' })
  }

  it('says what will happen, and has the focus on the safe button', async () => {
    await open(async () => {})
    expect(screen.getByText('2 instances end')).toBeInTheDocument()
    await waitFor(() => expect(screen.getByRole('button', { name: 'Keep as it is' })).toHaveFocus())
  })

  it('stays open with the reason when it can’t be done', async () => {
    await open(async () => {
      throw new NetworkError()
    })
    await userEvent.click(screen.getByRole('button', { name: 'Delete' }))
    expect(await screen.findByText(/may be restarting/)).toBeInTheDocument()
    expect(screen.getByRole('dialog')).toBeInTheDocument()
  })

  it('wants the name typed for what can’t be taken back', async () => {
    const run = vi.fn<() => Promise<void>>(async () => {})
    await open(run, 'shop')
    await userEvent.click(screen.getByRole('button', { name: 'Delete' }))
    expect(run).not.toHaveBeenCalled()
    await userEvent.type(screen.getByRole('textbox'), 'shop')
    await userEvent.click(screen.getByRole('button', { name: 'Delete' }))
    expect(run).toHaveBeenCalledTimes(1)
    await waitFor(() => expect(screen.queryByRole('dialog')).not.toBeInTheDocument())
  })
})

it('a state is a word, not a colour alone', () => {
  render(<Status standing={standingOf({ phase: 'failed', cancelling: false })} />)
  expect(screen.getByText('Failed')).toBeInTheDocument()
  expect(standingOf({ phase: 'active', cancelling: false }, false).word).toBe('Succeeded')
  expect(standingOf({ phase: 'building', cancelling: true }).word).toBe('Cancelling')
  expect(standingOf({ phase: 'building', cancelling: false, stuck: 'no disk' }).word).toBe('Stuck')
  expect(standingOf({ phase: 'active', cancelling: false, stuck: 'no disk' }).word).toBe('Active, stuck')
  expect(healthOf([], true).word).toBe('Healthy')
  expect(healthOf([], false).word).toBe('Nothing serves')
})

describe('a dialog', () => {
  const close = vi.fn<(open: boolean) => void>()
  const dialog = (busy: boolean, field = true) => (
    <Dialog
      open
      onOpenChange={close}
      busy={busy}
      title="New app"
      actions={
        <>
          <CloseButton>Not now</CloseButton>
          <Button>Make it</Button>
        </>
      }
    >
      {field ? (
        <Field label="Name">
          <Input />
        </Field>
      ) : (
        'Nothing to fill in'
      )}
    </Dialog>
  )

  it('stays while what it asked for is on its way', async () => {
    close.mockClear()
    const { rerender } = render(dialog(true))
    const safe = await screen.findByRole('button', { name: 'Not now' })
    expect(safe).toHaveAccessibleDescription(/sent already/)
    await userEvent.click(safe)
    await userEvent.click(screen.getByRole('button', { name: 'Close' }))
    await userEvent.keyboard('{Escape}')
    expect(close).not.toHaveBeenCalled()
    rerender(dialog(false))
    await userEvent.click(screen.getByRole('button', { name: 'Not now' }))
    expect(close).toHaveBeenCalledWith(false)
  })

  it('begins at its first field, and at its safe button where it has none', async () => {
    const { unmount } = render(dialog(false))
    await waitFor(() => expect(screen.getByRole('textbox', { name: 'Name' })).toHaveFocus())
    unmount()
    render(dialog(false, false))
    await waitFor(() => expect(screen.getByRole('button', { name: 'Not now' })).toHaveFocus())
  })
})

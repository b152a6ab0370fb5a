// What one does with a log: find, leave out, wrap, keep, follow.
import { readFile } from 'node:fs/promises'
import type { Page } from '@playwright/test'
import { expect, test } from './fixtures'
import { Gate, createApp, deployed, ended, order } from './flow'

const LINES = 3000
/** Prints many lines, three of them worth a look, one far longer than a screen is wide. A file: commands are in the log themselves. */
const chatter = `for i in $(seq ${LINES}); do
  case $i in
  700 | 2100) echo "warning: sail $i is torn" ;;
  1500) echo "error: mast $i broke" >&2 ;;
  2999) printf '%0900d long\\n' 7 ;;
  *) echo "knot $i" ;;
  esac
done
`

const log = (page: Page) => page.getByRole('log', { name: 'Output of the deployment' })
const search = (page: Page) => page.getByRole('searchbox', { name: 'Search in the log' })

test('a log is searched, filtered by level, wrapped and saved', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1', build: 'sh chatter.sh', files: { 'chatter.sh': chatter } })
  await createApp(server, 'chatter', repo)
  const id = await deployed(server, 'chatter')
  await page.goto(`/deployments/${id}`)
  // It opens at its end, and holds in the page only what is in sight.
  await expect(log(page).getByText(`knot ${LINES}`, { exact: true })).toBeInViewport()
  expect(await log(page).locator('[data-stream]').count()).toBeLessThan(200)

  await test.step('search', async () => {
    await search(page).fill('SAIL')
    await expect(page.getByRole('status').filter({ hasText: /^2$/ })).toBeVisible()
    await search(page).press('Enter')
    await expect(log(page).getByText('warning: sail')).toBeInViewport()
    await expect(page.getByRole('status').filter({ hasText: /^[12] of 2$/ })).toBeVisible()
    const seen = await log(page).locator('mark').first().locator('xpath=../..').innerText()
    await page.getByRole('button', { name: 'Next match' }).click()
    await expect(log(page).locator('mark').first().locator('xpath=../..')).not.toHaveText(seen)
    await search(page).fill('no such word anywhere')
    await expect(page.getByRole('status').filter({ hasText: 'not found' })).toBeVisible()
    await search(page).press('Escape')
    await expect(search(page)).toHaveValue('')
    await page.getByRole('button', { name: 'To the end' }).click()
    await expect(log(page).getByText(`knot ${LINES}`, { exact: true })).toBeInViewport()
  })

  await test.step('levels', async () => {
    const wanted = page.getByRole('combobox', { name: 'Lines to show' })
    await wanted.selectOption('Warnings and errors')
    // What goes to stderr comes by a pipe of its own: somewhere around.
    const sorted = async () => (await texts(page)).toSorted()
    await expect.poll(sorted).toEqual(['error: mast 1500 broke', 'warning: sail 2100 is torn', 'warning: sail 700 is torn'])
    await wanted.selectOption('Errors')
    await expect.poll(() => texts(page)).toEqual(['error: mast 1500 broke'])
    // Numbers stay those of the whole log.
    await log(page).locator('[data-stream]').filter({ hasText: 'mast 1500' }).locator('a').click()
    await expect(page).toHaveURL(/#L(?!1$)\d+$/)
    await wanted.selectOption('All lines')
    await expect(log(page).getByText(/^knot \d+$/).first()).toBeVisible()
  })

  await test.step('wrap', async () => {
    await search(page).fill('00007 long')
    await search(page).press('Enter')
    const line = log(page).locator('[data-stream]').filter({ hasText: '00007 long' })
    await expect(line).toBeVisible()
    const sideways = () => log(page).evaluate((box) => box.scrollWidth - box.clientWidth)
    expect(await sideways()).toBeGreaterThan(0)
    await page.getByRole('button', { name: 'Wrap long lines' }).click()
    await expect.poll(sideways).toBeLessThanOrEqual(0)
    // The room that was reckoned is the room that it takes, to the pixel, and its end can be read.
    const { room, needed } = await line.evaluate((row) => ({ room: row.clientHeight, needed: row.scrollHeight }))
    expect(room).toBeGreaterThan(100)
    expect(needed).toBe(room)
    const text = line.locator('> span').last()
    expect(await text.evaluate((element) => element.getBoundingClientRect().height)).toBe(room)
  })

  await test.step('download', async () => {
    const saved = page.waitForEvent('download')
    await page.getByRole('link', { name: 'Download the whole log' }).click()
    const file = await saved
    expect(file.suggestedFilename()).toBe(`${id}.log`)
    const lines = (await readFile(await file.path(), 'utf8')).split('\n')
    expect(lines.filter((line) => / \| knot \d+$/.test(line))).toHaveLength(LINES - 4)
    expect(lines.filter((line) => line.endsWith('| error: mast 1500 broke'))).toHaveLength(1)
  })
})

test('a log is followed until somebody scrolls up, and again from its end on', async ({ page, server, repo }) => {
  const gates = [new Gate(server, 'fathom-1'), new Gate(server, 'fathom-2')] as const
  const print = (from: number, to: number) => `for n in $(seq ${from} ${to}); do echo "fathom $n"; done`
  const script = [print(1, 200), gates[0].wait, print(201, 400), gates[1].wait, print(401, 600)].join('\n')
  repo.commit({ version: 'v1', build: 'sh fathom.sh', files: { 'fathom.sh': script } })
  await createApp(server, 'fathom', repo)
  const id = await order(server, 'fathom')
  await page.goto(`/deployments/${id}`)
  const line = (n: number) => log(page).getByText(`fathom ${n}`, { exact: true })
  const toTheEnd = page.getByRole('button', { name: 'To the end' })
  // The page is higher than the window: the end of the box is below its edge.
  await expect(line(200)).toBeAttached()
  await log(page).scrollIntoViewIfNeeded()
  await expect(line(200)).toBeInViewport()
  await expect(toTheEnd).toHaveCount(0)

  // What comes meanwhile moves nothing under the eyes of who reads.
  // A key that comes while the box still glides is lost on a busy machine: one presses it again.
  const goes = (key: 'Home' | 'End') =>
    expect(async () => {
      await log(page).focus()
      await page.keyboard.press(key)
      await expect(toTheEnd).toHaveCount(key === 'Home' ? 1 : 0, { timeout: 5000 })
    }).toPass()
  await goes('Home')
  await expect(line(1)).toBeInViewport()
  const place = () => log(page).evaluate(({ scrollTop, scrollHeight }) => ({ scrollTop, long: scrollHeight > 400 * 20 }))
  await expect.poll(place).toEqual({ scrollTop: 0, long: false })
  gates[0].open()
  await expect.poll(place).toEqual({ scrollTop: 0, long: true })
  await expect(line(1)).toBeInViewport()
  await toTheEnd.click()
  await expect(line(400)).toBeInViewport()
  await expect(toTheEnd).toHaveCount(0)

  // Scrolling down to the end is as good as the button.
  await goes('Home')
  await expect.poll(place).toEqual({ scrollTop: 0, long: true })
  await goes('End')
  await expect(line(400)).toBeInViewport()
  gates[1].open()
  await expect(line(600)).toBeInViewport()
  expect(await ended(server, id)).toBe('active')
})

test('the log of an environment goes on with the lines of a new release', async ({ page, server, repo }) => {
  repo.commit({ version: 'v1' })
  await createApp(server, 'tide', repo)
  await deployed(server, 'tide')
  await page.goto('/apps/tide/production')
  const printed = page.getByRole('log', { name: 'Log of tide / production' })
  await expect(printed.getByText('version v1 listens', { exact: true })).toBeVisible()
  // Its instance has the name of the one before, and a log that begins at 1 again.
  repo.commit({ version: 'v2' })
  await deployed(server, 'tide')
  await expect(printed.getByText('version v2 listens', { exact: true })).toBeVisible()
  await expect(printed.getByText('version v1 listens', { exact: true })).toHaveCount(1)
})

/** What the app printed, of the lines in the page: Plimsoll says things of its own between them. */
async function texts(page: Page): Promise<string[]> {
  const all = await log(page).locator('[data-stream] > span:last-child').allInnerTexts()
  return all.filter((text) => /sail|mast|knot/.test(text))
}

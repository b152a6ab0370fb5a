// Figures of the pages, for `make bench only=ui`: what they take until their largest part is painted, and how soon they answer while a
// log runs through them. Reads what to look at from its standard input, as JSON, and writes what it found to its standard output.
//
//     { url, invitation, overview, deployment, seconds, loads }
//
// Says `ready` on standard error when the log may begin.
import { text } from 'node:stream/consumers'
import { chromium } from '@playwright/test'

const asked = JSON.parse(await text(process.stdin))
const root = (process.getuid?.() ?? 1) === 0
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    // Chromium has no sandbox for root, and containers have little shared memory.
    ...(root ? ['--no-sandbox', '--disable-dev-shm-usage'] : []),
    '--disable-gpu',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
})
try {
  const state = await signedIn()
  const overview = await paints(state, asked.overview)
  const deployment = await paints(state, asked.deployment)
  const busy = await answers(state, asked.deployment)
  process.stdout.write(`${JSON.stringify({ overview, deployment, busy })}\n`)
} finally {
  await browser.close()
}

async function signedIn() {
  const context = await browser.newContext({ baseURL: asked.url })
  const page = await context.newPage()
  await page.goto(asked.invitation)
  await page.getByLabel('Name').fill('Ada Lovelace')
  await page.getByLabel('Password').fill('Kestrel over the quiet harbour 7')
  await page.getByLabel('Password').press('Enter')
  await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
  const state = await context.storageState()
  await context.close()
  return state
}

/** Milliseconds until the largest part was painted, of loads with nothing in the cache. */
async function paints(state, path) {
  const found = []
  for (let load = 0; load < asked.loads; load += 1) {
    const context = await browser.newContext({ baseURL: asked.url, storageState: state, viewport: { width: 1280, height: 860 } })
    await context.addInitScript(() => {
      globalThis.largest = 0
      const keep = (list) => {
        for (const entry of list.getEntries()) globalThis.largest = entry.startTime
      }
      new PerformanceObserver(keep).observe({ type: 'largest-contentful-paint', buffered: true })
    })
    const page = await context.newPage()
    await page.goto(path)
    await page.getByRole('heading', { level: 1 }).waitFor()
    // A stream never ends, so no network is ever idle: what is largest is there when nothing larger came for a second.
    const largest = () => page.evaluate(() => globalThis.largest)
    let [last, now] = [-1, await largest()]
    for (let looks = 0; now === 0 || now !== last; looks += 1) {
      if (looks === 15) throw new Error(`${path} does not come to rest: ${now} ms`)
      await page.waitForTimeout(1000)
      ;[last, now] = [now, await largest()]
    }
    found.push(last)
    await context.close()
  }
  return found
}

/** The page of a deployment that prints: it is scrolled, searched and filtered without pause. */
async function answers(state, path) {
  const context = await browser.newContext({ baseURL: asked.url, storageState: state, viewport: { width: 1280, height: 860 } })
  await context.addInitScript(() => {
    globalThis.seen = { events: [], tasks: [], frames: 0 }
    const each = (type, options, keep) => {
      const observer = new PerformanceObserver((list) => list.getEntries().forEach(keep))
      observer.observe({ type, ...options })
    }
    // Without an id it is a movement, which nobody waits for.
    each('event', { durationThreshold: 16 }, (entry) => {
      if (entry.interactionId > 0) globalThis.seen.events.push({ id: entry.interactionId, took: entry.duration })
    })
    each('longtask', {}, (entry) => globalThis.seen.tasks.push(entry.duration))
    const frame = () => {
      globalThis.seen.frames += 1
      requestAnimationFrame(frame)
    }
    requestAnimationFrame(frame)
  })
  const page = await context.newPage()
  await page.goto(path)
  const log = page.getByRole('log', { name: 'Output of the deployment' })
  await log.getByText('ready', { exact: true }).waitFor()
  const search = page.getByRole('searchbox', { name: 'Search in the log' })
  const levels = page.getByRole('combobox', { name: 'Lines to show' })
  const turns = [
    () => log.hover().then(() => page.mouse.wheel(0, -2000)),
    () => search.click(),
    () => page.keyboard.type('module'),
    () => page.keyboard.press('Enter'),
    () => page.keyboard.press('ControlOrMeta+a').then(() => page.keyboard.press('Delete')),
    () => levels.press('ArrowDown'),
    () => levels.press('ArrowUp'),
    () => page.getByRole('button', { name: 'Wrap long lines' }).click(),
    () => log.hover().then(() => page.mouse.wheel(0, 100_000)),
  ]
  const acted = () => page.evaluate(() => ['keydown', 'click'].reduce((sum, type) => sum + (performance.eventCounts.get(type) ?? 0), 0))
  await page.evaluate(() => Object.assign(globalThis.seen, { events: [], tasks: [], frames: 0 }))
  const before = await acted()
  process.stderr.write('ready\n')
  const began = Date.now()
  let turn = 0
  for (; Date.now() - began < asked.seconds * 1000; turn += 1) {
    await turns[turn % turns.length]()
    await page.waitForTimeout(Math.max(0, began + (turn + 1) * 250 - Date.now()))
  }
  const took = (Date.now() - began) / 1000
  const seen = await page.evaluate(() => globalThis.seen)
  const acts = (await acted()) - before
  await context.close()
  // An interaction consists of several events; it takes as long as the longest. Those below 16 ms are not told.
  const longest = new Map()
  for (const { id, took } of seen.events) longest.set(id, Math.max(took, longest.get(id) ?? 0))
  return { interactions: [...longest.values()], acts, tasks: seen.tasks, frames: seen.frames / took }
}

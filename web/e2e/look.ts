// How a page looks: open to everybody as far as a program can tell, no wider than its window, and a picture of it.
import { join } from 'node:path'
import { AxeBuilder } from '@axe-core/playwright'
import type { Page } from '@playwright/test'
import { expect } from './fixtures'
import { project } from './harness'

const STANDARD = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
/** Rules of the standard that depend on colours. */
export const COLOURS = ['color-contrast', 'link-in-text-block']

/** The reader's machine goes over to the other colours; until none is on its way between them. */
export async function turn(page: Page, colorScheme: 'light' | 'dark'): Promise<void> {
  await page.emulateMedia({ colorScheme })
  await expect(page.locator('html')).toHaveAttribute('data-theme', colorScheme)
  await page.evaluate(async () => {
    const turning = document.getAnimations().filter((animation) => animation instanceof CSSTransition)
    await Promise.allSettled(turning.map((animation) => animation.finished))
  })
}

/** All that the page asked for is there: no skeleton, and no question on its way. */
export async function settled(page: Page): Promise<void> {
  await expect(page.getByRole('status', { name: 'Loading' })).toHaveCount(0)
}

export async function fits(page: Page, name: string): Promise<void> {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)
  expect.soft(over, `${name} scrolls sideways`).toBeLessThanOrEqual(0)
}

/** For people: where nobody will look at them none is made. */
export async function picture(page: Page, name: string): Promise<void> {
  if (process.env.CI) return
  await page.screenshot({ path: join(project, 'target/screens', `${name}.png`), fullPage: true })
}

/** Open to everybody, as far as a program can tell: by all rules, or by those named. */
export async function open(page: Page, name: string, rules?: string[]): Promise<void> {
  const axe = new AxeBuilder({ page })
  // Otherwise each result is put together in a page of its own, which is for frames of other origins: there are none.
  axe.setLegacyMode(true)
  // Nothing is told of what is well: that takes longest.
  axe.options({ resultTypes: ['violations'] })
  const { violations } = await (rules ? axe.withRules(rules) : axe.withTags(STANDARD)).analyze()
  const told = violations.map(({ id, impact, nodes }) => ({ id, impact, where: nodes.map(({ html }) => html.slice(0, 200)) }))
  expect.soft(told, `what axe finds on ${name}`).toEqual([])
}

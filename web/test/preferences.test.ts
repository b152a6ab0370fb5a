import { beforeEach, expect, it, vi } from 'vitest'

/** As a page that is loaded anew. */
async function fresh() {
  vi.resetModules()
  const { renderHook } = await import('@testing-library/react')
  const module = await import('@/preferences')
  return { ...module, now: () => renderHook(() => module.usePreferences()).result.current }
}
beforeEach(() => localStorage.clear())

it('what was chosen elsewhere counts here, and is no choice of this browser', async () => {
  let page = await fresh()
  page.adoptPreferences({ theme: 'dark', zone: 'Asia/Tokyo' })
  expect(page.now()).toEqual({ theme: 'dark', zone: 'Asia/Tokyo' })
  expect([localStorage.getItem('plimsoll.theme'), localStorage.getItem('plimsoll.zone')]).toEqual([null, null])
  // Changed there: this browser follows.
  page = await fresh()
  page.adoptPreferences({ theme: 'light', zone: 'Europe/Zurich' })
  expect(page.now()).toEqual({ theme: 'light', zone: 'Europe/Zurich' })
  page.setPreferences({ zone: 'UTC' })
  page.adoptPreferences({ theme: 'dark', zone: 'Asia/Tokyo' })
  expect(page.now()).toEqual({ theme: 'dark', zone: 'UTC' })
})

it('whoever signs in after somebody else has none of their choices', async () => {
  const page = await fresh()
  page.setPreferences({ theme: 'dark' })
  page.adoptPreferences({ zone: 'Asia/Tokyo' })
  page.forgetPreferences()
  expect(page.now()).toEqual({ theme: 'system', zone: undefined })
  expect(localStorage).toHaveLength(0)
  expect((await fresh()).now()).toEqual({ theme: 'system', zone: undefined })
})

it('single keys are switched off and on again', async () => {
  const { keysWork, letKeysWork } = await fresh()
  expect(keysWork()).toBe(true)
  letKeysWork(false)
  expect(keysWork()).toBe(false)
  expect((await fresh()).keysWork()).toBe(false)
  letKeysWork(true)
  expect(keysWork()).toBe(true)
})

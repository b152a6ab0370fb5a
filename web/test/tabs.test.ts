import { beforeEach, expect, it, vi } from 'vitest'

/** Each is a tab of its own: a module that was loaded anew. */
async function tab() {
  vi.resetModules()
  const { nowIs, hearTabs, whoIs } = await import('@/realtime/tabs')
  const heard: (string | null)[] = []
  hearTabs((person) => heard.push(person))
  return { nowIs, whoIs, heard }
}

/** What is said goes to all channels but the one that says it, as in a browser. */
class Channel extends EventTarget {
  static all: Channel[] = []
  constructor() {
    super()
    Channel.all.push(this)
  }
  postMessage(data: unknown) {
    for (const other of Channel.all) if (other !== this) other.dispatchEvent(new MessageEvent('message', { data }))
  }
}

beforeEach(() => {
  Channel.all = []
  vi.stubGlobal('BroadcastChannel', Channel)
  return () => vi.unstubAllGlobals()
})

it('a tab hears when another one shows somebody else, and of nothing that it knows', async () => {
  const [one, two, door] = [await tab(), await tab(), await tab()]
  one.nowIs('usr_ada')
  two.nowIs('usr_ada')
  expect([one.heard, two.heard, two.whoIs()]).toEqual([[], [], 'usr_ada'])
  one.nowIs(null)
  expect(two.heard).toEqual([null])
  two.nowIs(null)
  expect([one.heard, one.whoIs()]).toEqual([[], undefined])
  one.nowIs('usr_bob')
  expect(two.heard).toEqual([null, 'usr_bob'])
  // One that has not found out yet who is signed in finds out by itself.
  expect(door.heard).toEqual([])
})

import { expect, it } from 'vitest'
import { codeOf } from '@/features/device/code'

it.each([['WDJB-MJHT'], ['wdjbmjht'], [' wdjb mjht '], ['w-d-j-b-m-j-h-t']])('%j is a code', (typed) => expect(codeOf(typed)).toBe('WDJB-MJHT'))

it.each([[undefined], [''], ['WDJB'], ['WDJB-MJHTX'], ['WDJB-MJHA'], ['WDJB-MJH1'], ['WDJB_MJHT']])('%j is none', (typed) =>
  expect(codeOf(typed)).toBeUndefined())

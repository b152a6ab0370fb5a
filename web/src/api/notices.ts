// What people and programs are told: notices, channels and what was sent to them, mutes.
import { queryOptions } from '@tanstack/react-query'
import { api, data, under } from './client'
import type { ChannelsCreateRequest, ChannelsUpdateRequest } from './schema'

export const notices = () => queryOptions({ queryKey: ['notices'], queryFn: ({ signal }) => data(api.GET('/api/v1/notices', { signal })) })

export const seenUpTo = (cursor: number, key: string) => data(api.PUT('/api/v1/notices/seen', { params: { header: under(key) }, body: { cursor } }))

export const channels = () => queryOptions({ queryKey: ['channels'], queryFn: ({ signal }) => data(api.GET('/api/v1/channels', { signal })) })

/** Of a webhook whose secret was made, its answer has it, this once. */
export const createChannel = (body: ChannelsCreateRequest, key: string) => data(api.POST('/api/v1/channels', { params: { header: under(key) }, body }))

export const updateChannel = (channel: string, body: ChannelsUpdateRequest, key: string) =>
  data(api.PUT('/api/v1/channels/{channel}', { params: { path: { channel }, header: under(key) }, body }))

export const removeChannel = (channel: string, key: string) =>
  data(api.DELETE('/api/v1/channels/{channel}', { params: { path: { channel }, header: under(key) } }))

export const testChannel = (channel: string, key: string) =>
  data(api.POST('/api/v1/channels/{channel}/test', { params: { path: { channel }, header: under(key) } }))

export const deliveries = (channel: string, cursor?: string) =>
  queryOptions({
    queryKey: ['deliveries', channel, cursor ?? null],
    queryFn: ({ signal }) => data(api.GET('/api/v1/channels/{channel}/deliveries', { params: { path: { channel }, query: { limit: 50, cursor } }, signal })),
    // No event tells of them.
    refetchInterval: 5000,
  })

export const resend = (channel: string, delivery: string, key: string) =>
  data(api.POST('/api/v1/channels/{channel}/deliveries/{delivery}/resend', { params: { path: { channel, delivery }, header: under(key) } }))

export const mutes = () => queryOptions({ queryKey: ['mutes'], queryFn: ({ signal }) => data(api.GET('/api/v1/mutes', { signal })) })

export const mute = (app: string, until: string | undefined, key: string) =>
  data(api.PUT('/api/v1/mutes/{app}', { params: { path: { app }, header: under(key) }, body: until === undefined ? {} : { until } }))

export const unmute = (app: string, key: string) => data(api.DELETE('/api/v1/mutes/{app}', { params: { path: { app }, header: under(key) } }))

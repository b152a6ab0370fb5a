// What a deployment would do, looked at first and then carried out as it was seen.
import { queryOptions } from '@tanstack/react-query'
import { api, data, under } from './client'
import type { PlansCreateRequest } from './schema'

/** Fetches the source and compares, which may take a while. Nothing that serves is touched. */
export const createPlan = (app: string, environment: string, body: PlansCreateRequest, key: string) =>
  data(
    api.POST('/api/v1/apps/{app}/environments/{environment}/plans', {
      params: { path: { app, environment }, header: under(key) },
      body,
    }),
  )

/** What a plan would leave if one of its steps failed. A plan never changes. */
export const simulation = (plan: string) =>
  queryOptions({
    queryKey: ['simulation', plan],
    queryFn: ({ signal }) => data(api.GET('/api/v1/plans/{plan}/simulation', { params: { path: { plan } }, signal })),
    staleTime: Infinity,
  })

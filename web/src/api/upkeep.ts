// What a server is looked after by: how long things stay, when something is stalled, certificates, the process in front.
import { queryOptions } from '@tanstack/react-query'
import { api, data, under } from './client'
import type { CertificatesAddRequest, RetentionSetRequest, StallsSetRequest } from './schema'

/** What is old enough to go now. Asked for when somebody looks. */
export const retentionPlan = () =>
  queryOptions({
    queryKey: ['retention', 'plan'],
    queryFn: ({ signal }) => data(api.GET('/api/v1/retention/plan', { signal })),
    staleTime: 0,
  })

export const setRetention = (body: RetentionSetRequest, key: string) => data(api.PUT('/api/v1/retention', { params: { header: under(key) }, body }))

export const runRetention = (key: string) => data(api.POST('/api/v1/retention/runs', { params: { header: under(key) } }))

/** When a deployment is taken for stalled: of an app, or the server's own limits. */
export const stalls = (app?: string) =>
  queryOptions({
    queryKey: ['stalls', app ?? null],
    queryFn: ({ signal }) => data(api.GET('/api/v1/stalls', { params: { query: { app } }, signal })),
  })

export const setStalls = (body: StallsSetRequest, key: string) => data(api.PUT('/api/v1/stalls', { params: { header: under(key) }, body }))

export const addCertificate = (body: CertificatesAddRequest, key: string) => data(api.POST('/api/v1/certificates', { params: { header: under(key) }, body }))

export const removeCertificate = (certificate: string, key: string) =>
  data(api.DELETE('/api/v1/certificates/{certificate}', { params: { path: { certificate }, header: under(key) } }))

export const restartIngress = (key: string) => data(api.POST('/api/v1/ingress/restart', { params: { header: under(key) } }))

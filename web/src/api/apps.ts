// How an app is set up, and its end.
import { api, data, under } from './client'
import type { Source, Supersede } from './schema'

export const setSource = (app: string, source: Source, key: string) =>
  data(api.PUT('/api/v1/apps/{app}/source', { params: { path: { app }, header: under(key) }, body: { source } }))

export const setConcurrency = (app: string, limit: number, key: string) =>
  data(api.PUT('/api/v1/apps/{app}/concurrency', { params: { path: { app }, header: under(key) }, body: { limit } }))

export const deleteApp = (app: string, key: string) =>
  data(api.DELETE('/api/v1/apps/{app}', { params: { path: { app }, header: under(key) } }))

export const setSupersede = (app: string, environment: string, policy: Supersede, key: string) =>
  data(
    api.PUT('/api/v1/apps/{app}/environments/{environment}/supersede', {
      params: { path: { app, environment }, header: under(key) },
      body: { policy },
    }),
  )

export const deleteEnvironment = (app: string, environment: string, key: string) =>
  data(api.DELETE('/api/v1/apps/{app}/environments/{environment}', { params: { path: { app, environment }, header: under(key) } }))

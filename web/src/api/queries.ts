// What can be asked, each with its key in the cache. Pages take everything from here; `hub.ts` knows the keys, too.
import { queryOptions } from '@tanstack/react-query'
import { api, data } from './client'
import { fetchMe } from './auth'
import type { operations } from './schema'

type Query<Name extends keyof operations> = NonNullable<operations[Name]['parameters']['query']>

// --- Who one is ---

export const me = () => queryOptions({ queryKey: ['me'], queryFn: fetchMe, staleTime: 60_000 })

// --- Apps and environments ---

/** What needs somebody, and what is live where: one question for a page of apps. */
export const overview = (query: Query<'overview.show'> = {}) =>
  queryOptions({
    queryKey: ['overview', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/overview', { params: { query }, signal })),
    // A certificate comes to its end without an event.
    refetchInterval: 60_000,
  })

export const apps = (query: Query<'apps.list'> = {}) =>
  queryOptions({
    queryKey: ['apps', 'list', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/apps', { params: { query }, signal })),
  })

export const app = (name: string) =>
  queryOptions({
    queryKey: ['apps', 'one', name],
    queryFn: ({ signal }) => data(api.GET('/api/v1/apps/{app}', { params: { path: { app: name } }, signal })),
  })

export const environment = (app: string, environment: string) =>
  queryOptions({
    queryKey: ['environments', app, environment],
    queryFn: ({ signal }) =>
      data(api.GET('/api/v1/apps/{app}/environments/{environment}', { params: { path: { app, environment } }, signal })),
  })

export const metrics = (app: string, environment: string) =>
  queryOptions({
    queryKey: ['metrics', app, environment],
    queryFn: ({ signal }) =>
      data(
        api.GET('/api/v1/apps/{app}/environments/{environment}/metrics', { params: { path: { app, environment } }, signal }),
      ),
  })

export const variables = (app: string, environment: string) =>
  queryOptions({
    queryKey: ['variables', app, environment],
    queryFn: ({ signal }) =>
      data(
        api.GET('/api/v1/apps/{app}/environments/{environment}/variables', {
          params: { path: { app, environment } },
          signal,
        }),
      ),
  })

export const releases = (app: string, query: Query<'releases.list'> = {}) =>
  queryOptions({
    queryKey: ['releases', app, query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/apps/{app}/releases', { params: { path: { app }, query }, signal })),
  })

export const release = (app: string, number: number) =>
  queryOptions({
    queryKey: ['releases', app, 'one', number],
    queryFn: ({ signal }) => data(api.GET('/api/v1/apps/{app}/releases/{number}', { params: { path: { app, number } }, signal })),
  })

export const promotionPlan = (app: string, environment: string, from: string, release?: number) =>
  queryOptions({
    queryKey: ['promotion', app, environment, from, release ?? null],
    queryFn: ({ signal }) =>
      data(
        api.GET('/api/v1/apps/{app}/environments/{environment}/promotions/plan', {
          params: { path: { app, environment }, query: { from, release } },
          signal,
        }),
      ),
  })

// --- Deployments ---

export const deployments = (query: Query<'deployments.list'> = {}) =>
  queryOptions({
    queryKey: ['deployments', 'list', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/deployments', { params: { query }, signal })),
  })

export const deployment = (deployment: string) =>
  queryOptions({
    queryKey: ['deployments', 'one', deployment],
    queryFn: ({ signal }) =>
      data(api.GET('/api/v1/deployments/{deployment}', { params: { path: { deployment } }, signal })),
  })

/** Lines at the end of an output that are asked for at first. */
const TAIL = 500

/** The end of what it has printed. A log begins with it, and follows from there: so it may be old, and is kept for no longer than that takes. */
export const tail = (deployment: string) =>
  queryOptions({
    queryKey: ['tail', deployment],
    queryFn: ({ signal }) =>
      data(
        api.GET('/api/v1/deployments/{deployment}/output', {
          params: { path: { deployment }, query: { tail: true, limit: TAIL } },
          signal,
        }),
      ),
    gcTime: 10_000,
    // Who reads it is patient.
    retry: false,
  })

/** Those that have not ended, with what each waits for; the worst first. */
export const diagnosis = () =>
  queryOptions({
    queryKey: ['diagnosis'],
    queryFn: ({ signal }) => data(api.GET('/api/v1/diagnosis', { params: { query: { limit: 50 } }, signal })),
  })

/** How long each phase takes, usually. */
export const analytics = (query: Query<'analytics.show'> = {}) =>
  queryOptions({
    queryKey: ['analytics', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/analytics', { params: { query }, signal })),
    staleTime: 300_000,
  })

/** How deployments go now and day by day, and how releases answer. */
export const figures = (query: Query<'figures.show'> = {}) =>
  queryOptions({
    queryKey: ['figures', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/figures', { params: { query }, signal })),
    // Requests tell of themselves by no event.
    refetchInterval: 10_000,
  })

// --- The queue ---

export const queue = (query: Query<'queue.list'> = {}) =>
  queryOptions({
    queryKey: ['queue', 'list', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/queue', { params: { query }, signal })),
    // Positions and estimates change with time alone.
    refetchInterval: 15_000,
  })

export const timeline = (query: Query<'queue.timeline'> = {}) =>
  queryOptions({
    queryKey: ['queue', 'timeline', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/queue/timeline', { params: { query }, signal })),
    refetchInterval: 60_000,
  })

export const schedules = (query: Query<'schedules.list'> = {}) =>
  queryOptions({
    queryKey: ['schedules', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/schedules', { params: { query }, signal })),
  })

/** What a cron expression comes to, also in the reader's zone. */
export const cronPreview = (cron: string, zone: string) =>
  queryOptions({
    queryKey: ['cron', cron, zone],
    queryFn: ({ signal }) => data(api.POST('/api/v1/cron/preview', { body: { cron, zone }, signal })),
  })

export const windows = (query: Query<'windows.list'> = {}) =>
  queryOptions({
    queryKey: ['windows', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/windows', { params: { query }, signal })),
  })

/** Deployments that went past closed windows, the newest first. */
export const bypasses = (query: Query<'windows.bypasses'> = {}) =>
  queryOptions({
    queryKey: ['windows', 'bypasses', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/windows/bypasses', { params: { query }, signal })),
  })

// --- People ---

export const users = (query: Query<'users.list'> = {}) =>
  queryOptions({
    queryKey: ['users', 'list', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/users', { params: { query }, signal })),
  })

export const user = (user: string) =>
  queryOptions({
    queryKey: ['users', 'one', user],
    queryFn: ({ signal }) => data(api.GET('/api/v1/users/{user}', { params: { path: { user } }, signal })),
  })

/** Those that wait; to one app, or all that one may see. */
export const invitations = (app?: string) =>
  queryOptions({
    queryKey: ['invitations', app ?? null],
    queryFn: ({ signal }) => data(api.GET('/api/v1/invitations', { params: { query: { app } }, signal })),
  })

export const members = (app: string) =>
  queryOptions({
    queryKey: ['members', app],
    queryFn: ({ signal }) => data(api.GET('/api/v1/apps/{app}/members', { params: { path: { app } }, signal })),
  })

/** Of a person; one's own without one. No event tells of them. */
export const sessions = (user?: string) =>
  queryOptions({
    queryKey: ['sessions', user ?? null],
    queryFn: ({ signal }) => data(api.GET('/api/v1/sessions', { params: { query: { user } }, signal })),
    refetchInterval: 60_000,
  })

/** One's own. */
export const secondFactor = () =>
  queryOptions({
    queryKey: ['second-factor'],
    queryFn: ({ signal }) => data(api.GET('/api/v1/me/totp', { signal })),
  })

// --- The server ---

export const server = () =>
  queryOptions({
    queryKey: ['server'],
    queryFn: ({ signal }) => data(api.GET('/api/v1/server', { signal })),
    staleTime: 300_000,
  })

/** Servers and machines; for who may look at the server. */
export const cluster = () =>
  queryOptions({
    queryKey: ['cluster'],
    queryFn: ({ signal }) => data(api.GET('/api/v1/cluster', { signal })),
  })

/** How long things are kept: of an app, or the server's own policy. */
export const retention = (app?: string) =>
  queryOptions({
    queryKey: ['retention', app ?? null],
    queryFn: ({ signal }) => data(api.GET('/api/v1/retention', { params: { query: { app } }, signal })),
  })

export const certificates = () =>
  queryOptions({
    queryKey: ['certificates'],
    queryFn: ({ signal }) => data(api.GET('/api/v1/certificates', { signal })),
    staleTime: 300_000,
  })

// --- Tokens ---

export const tokens = () =>
  queryOptions({
    queryKey: ['tokens'],
    queryFn: ({ signal }) => data(api.GET('/api/v1/tokens', { signal })),
  })

/** A program that waits with this code to be let in. What it is can't be told twice, as there is one answer. */
export const device = (user_code: string) =>
  queryOptions({
    queryKey: ['device', user_code],
    queryFn: ({ signal }) => data(api.GET('/api/v1/devices/{user_code}', { params: { path: { user_code } }, signal })),
    staleTime: 30_000,
  })

// --- The audit log ---

/** The newest first. No event tells of new records: it is asked for whenever somebody looks. */
export const audit = (query: Query<'audit.list'> = {}) =>
  queryOptions({
    queryKey: ['audit', query],
    queryFn: ({ signal }) => data(api.GET('/api/v1/audit', { params: { query }, signal })),
    staleTime: 0,
  })

// --- The guides ---

/** They change with the server's version alone. */
export const guides = () =>
  queryOptions({
    queryKey: ['guides'],
    queryFn: ({ signal }) => data(api.GET('/api/v1/guides', { signal })),
    staleTime: Infinity,
  })

export const guide = (page: string) =>
  queryOptions({
    queryKey: ['guides', 'one', page],
    queryFn: ({ signal }) => data(api.GET('/api/v1/guides/{page}', { params: { path: { page } }, signal })),
    staleTime: Infinity,
  })

export const guideSearch = (words: string) =>
  queryOptions({
    queryKey: ['guides', 'search', words],
    queryFn: ({ signal }) => data(api.GET('/api/v1/search/guides', { params: { query: { words } }, signal })),
    staleTime: Infinity,
  })

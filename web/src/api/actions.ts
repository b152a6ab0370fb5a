// What can be done. Each takes an idempotency key, so that a repetition is harmless.
import { api, data, under } from './client'
import type {
  DeploymentsDeployRequest,
  DeploymentsRollbackRequest,
  MeChangePasswordRequest,
  Place,
  Preferences,
  PromotionsPromoteRequest,
  QueueRescheduleRequest,
  Role,
  SchedulesCreateRequest,
  SchedulesUpdateRequest,
  Source,
  TokensCreateRequest,
  UsersInviteRequest,
  UsersSetRequest,
  WindowsCreateRequest,
} from './schema'

export const createApp = (body: { name: string; source?: Source | null }, key: string) =>
  data(api.POST('/api/v1/apps', { params: { header: under(key) }, body }))

/** On a machine of the cluster, or on that of the server that is asked. */
export const createEnvironment = (app: string, environment: string, key: string, host?: string) =>
  data(api.POST('/api/v1/apps/{app}/environments', { params: { path: { app }, header: under(key) }, body: { environment, host } }))

export const deploy = (app: string, environment: string, body: DeploymentsDeployRequest, key: string) =>
  data(
    api.POST('/api/v1/apps/{app}/environments/{environment}/deployments', {
      params: { path: { app, environment }, header: under(key) },
      body,
    }),
  )

export const rollback = (app: string, environment: string, body: DeploymentsRollbackRequest, key: string) =>
  data(
    api.POST('/api/v1/apps/{app}/environments/{environment}/rollbacks', {
      params: { path: { app, environment }, header: under(key) },
      body,
    }),
  )

export const promote = (app: string, environment: string, body: PromotionsPromoteRequest, key: string) =>
  data(
    api.POST('/api/v1/apps/{app}/environments/{environment}/promotions', {
      params: { path: { app, environment }, header: under(key) },
      body,
    }),
  )

export const cancel = (deployment: string, key: string) =>
  data(api.POST('/api/v1/deployments/{deployment}/cancel', { params: { path: { deployment }, header: under(key) } }))

export const resume = (deployment: string, key: string) =>
  data(api.POST('/api/v1/deployments/{deployment}/resume', { params: { path: { deployment }, header: under(key) } }))

export const abandon = (deployment: string, key: string) =>
  data(api.POST('/api/v1/deployments/{deployment}/abandon', { params: { path: { deployment }, header: under(key) } }))

export const move = (deployment: string, to: Place, key: string) =>
  data(api.PUT('/api/v1/queue/{deployment}/place', { params: { path: { deployment }, header: under(key) }, body: { to } }))

export const reschedule = (deployment: string, body: QueueRescheduleRequest, key: string) =>
  data(api.PUT('/api/v1/queue/{deployment}/schedule', { params: { path: { deployment }, header: under(key) }, body }))

export const createSchedule = (body: SchedulesCreateRequest, key: string) =>
  data(api.POST('/api/v1/schedules', { params: { header: under(key) }, body }))

export const updateSchedule = (schedule: string, body: SchedulesUpdateRequest, key: string) =>
  data(api.PUT('/api/v1/schedules/{schedule}', { params: { path: { schedule }, header: under(key) }, body }))

export const removeSchedule = (schedule: string, key: string) =>
  data(api.DELETE('/api/v1/schedules/{schedule}', { params: { path: { schedule }, header: under(key) } }))

export const createWindow = (body: WindowsCreateRequest, key: string) =>
  data(api.POST('/api/v1/windows', { params: { header: under(key) }, body }))

export const removeWindow = (window: string, key: string) =>
  data(api.DELETE('/api/v1/windows/{window}', { params: { path: { window }, header: under(key) } }))

/** Answers when all of them have ended. */
export const runSmokeTests = (app: string, environment: string, key: string) =>
  data(api.POST('/api/v1/apps/{app}/environments/{environment}/smoke-tests', { params: { path: { app, environment }, header: under(key) } }))

export const setVariable = (app: string, environment: string, name: string, value: string, key: string) =>
  data(
    api.PUT('/api/v1/apps/{app}/environments/{environment}/variables', {
      params: { path: { app, environment }, header: under(key) },
      body: { variables: { [name]: value } },
    }),
  )

export const unsetVariable = (app: string, environment: string, name: string, key: string) =>
  data(
    api.POST('/api/v1/apps/{app}/environments/{environment}/variables/unset', {
      params: { path: { app, environment }, header: under(key) },
      body: { names: [name] },
    }),
  )

// --- People ---

export const invite = (body: UsersInviteRequest, key: string) =>
  data(api.POST('/api/v1/invitations', { params: { header: under(key) }, body }))

export const withdraw = (invitation: string, key: string) =>
  data(api.DELETE('/api/v1/invitations/{invitation}', { params: { path: { invitation }, header: under(key) } }))

export const setUser = (user: string, body: UsersSetRequest, key: string) =>
  data(api.PUT('/api/v1/users/{user}', { params: { path: { user }, header: under(key) }, body }))

export const removeUser = (user: string, key: string) =>
  data(api.DELETE('/api/v1/users/{user}', { params: { path: { user }, header: under(key) } }))

export const setMember = (app: string, user: string, role: Role, key: string) =>
  data(api.PUT('/api/v1/apps/{app}/members/{user}', { params: { path: { app, user }, header: under(key) }, body: { role } }))

export const removeMember = (app: string, user: string, key: string) =>
  data(api.DELETE('/api/v1/apps/{app}/members/{user}', { params: { path: { app, user }, header: under(key) } }))

export const endSession = (session: string, key: string) =>
  data(api.DELETE('/api/v1/sessions/{session}', { params: { path: { session }, header: under(key) } }))

export const changePassword = (body: MeChangePasswordRequest, key: string) =>
  data(api.PUT('/api/v1/me/password', { params: { header: under(key) }, body }))

/** Its answer has what the app is to learn, this once: not that of a repetition. */
export const beginSecondFactor = (key: string) => data(api.POST('/api/v1/me/totp', { params: { header: under(key) } }))

/** Its answer has the recovery codes, this once. */
export const confirmSecondFactor = (code: string, key: string) =>
  data(api.PUT('/api/v1/me/totp', { params: { header: under(key) }, body: { code } }))

/** One's own, or of somebody who has lost the phone. */
export const removeSecondFactor = (key: string, user?: string) =>
  data(api.DELETE('/api/v1/me/totp', { params: { query: { user }, header: under(key) } }))

export const savePreferences = (preferences: Preferences, key: string) =>
  data(api.PUT('/api/v1/me/preferences', { params: { header: under(key) }, body: { preferences } }))

// --- Tokens ---

/** Its answer has the token itself, this once: not that of a repetition. */
export const createToken = (body: TokensCreateRequest, key: string) =>
  data(api.POST('/api/v1/tokens', { params: { header: under(key) }, body }))

export const revokeToken = (token: string, key: string) =>
  data(api.DELETE('/api/v1/tokens/{token}', { params: { path: { token }, header: under(key) } }))

// --- The audit log ---

/** Looks at all of it, and changes nothing: no key. */
export const verifyAudit = () => data(api.POST('/api/v1/audit/verify', { body: {} }))

/** Lets the program that shows this code act for oneself, or sends it away. */
export const answerDevice = (user_code: string, verdict: 'approve' | 'refuse', key: string) =>
  data(api.POST('/api/v1/devices/{user_code}', { params: { path: { user_code }, header: under(key) }, body: { verdict } }))

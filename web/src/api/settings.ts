// What is set for the whole server: the mail server, and by which provider people sign in. Secrets go in and never come out.
import { queryOptions } from '@tanstack/react-query'
import { api, data, under } from './client'
import type { NewMailServer, SetProvider } from './schema'

/** For who may look at the server. */
export const mail = () => queryOptions({ queryKey: ['mail'], queryFn: ({ signal }) => data(api.GET('/api/v1/settings/mail', { signal })) })

/** Takes the place of what there was, password included; no mail leaves without one. */
export const setMail = (server: NewMailServer | null, key: string) =>
  data(api.PUT('/api/v1/settings/mail', { params: { header: under(key) }, body: { server } }))

/** For owners of the server. */
export const access = () => queryOptions({ queryKey: ['access'], queryFn: ({ signal }) => data(api.GET('/api/v1/settings/access', { signal })) })

/** The server asks the provider for its description before it says yes. */
export const setAccess = (oidc: SetProvider | null, key: string) =>
  data(api.PUT('/api/v1/settings/access', { params: { header: under(key) }, body: { oidc } }))

// Settings in words, and what forms make of them. Pure.
import type { AuthSettings, Encryption, Mail, NewMailServer, SetProvider } from '@/api/schema'

export const ENCRYPTIONS: Record<Encryption, string> = {
  tls: 'TLS from the first byte',
  starttls: 'STARTTLS, never left out',
  none: 'None',
}

const PORTS: Record<Encryption, string> = { tls: '465', starttls: '587', none: '25' }

export interface MailValues {
  host: string
  port: string
  encryption: Encryption
  from: string
  user: string
  password: string
}

export const mailValues = (server: Mail['server']): MailValues => ({
  host: server?.host ?? '',
  port: String(server?.port ?? PORTS.tls),
  encryption: server?.encryption ?? 'tls',
  from: server?.from ?? '',
  user: server?.user ?? '',
  password: '',
})

/** The port that goes with another encryption, but where somebody chose one. */
export const portFor = (encryption: Encryption, before: MailValues) => (before.port === PORTS[before.encryption] ? PORTS[encryption] : before.port)

export function wrongMail({ host, port, encryption, from, user, password }: MailValues): Partial<Record<keyof MailValues, string>> {
  const number = Number(port)
  return {
    host: host.trim() === '' ? 'Its name or address, such as mail.example.org' : undefined,
    port: Number.isInteger(number) && number >= 1 && number <= 65_535 ? undefined : '1 to 65535',
    encryption: encryption === 'none' && user.trim() !== '' ? 'A password is not sent without encryption: choose one of the others' : undefined,
    from: /\S@\S/.test(from) ? undefined : 'A mailbox, such as plimsoll@example.org',
    user: user.trim() === '' && password !== '' ? 'Whose password this is' : undefined,
    password: user.trim() !== '' && password === '' ? 'The password of that user; it is asked for with every change' : undefined,
  }
}

export const newMail = ({ host, port, encryption, from, user, password }: MailValues): NewMailServer => ({
  host: host.trim(),
  port: Number(port),
  encryption,
  from: from.trim(),
  ...(user.trim() === '' ? {} : { user: user.trim(), password }),
})

export interface ProviderValues {
  name: string
  issuer: string
  client_id: string
  client_secret: string
  /** With spaces between. */
  scopes: string
  link_by_email: boolean
}

export const providerValues = (provider: AuthSettings['oidc']): ProviderValues => ({
  name: provider?.name ?? '',
  issuer: provider?.issuer ?? '',
  client_id: provider?.client_id ?? '',
  client_secret: '',
  scopes: (provider?.scopes ?? ['email', 'profile']).join(' '),
  link_by_email: provider?.link_by_email ?? false,
})

/** The secret that there is belongs to one client of one provider. */
export const keepsSecret = ({ issuer, client_id }: ProviderValues, known: AuthSettings['oidc']) =>
  known != null && known.issuer === issuer.trim() && known.client_id === client_id.trim()

export function wrongProvider(values: ProviderValues, known: AuthSettings['oidc']): Partial<Record<keyof ProviderValues, string>> {
  return {
    name: values.name.trim() === '' ? 'What the button says, such as Example Inc.' : undefined,
    issuer: /^https?:\/\/\S+$/.test(values.issuer.trim()) ? undefined : 'The whole address, such as https://id.example.org',
    client_id: values.client_id.trim() === '' ? 'As what this server is registered there' : undefined,
    client_secret: values.client_secret !== '' || keepsSecret(values, known) ? undefined : 'What the provider gave together with the client’s id',
  }
}

export const setProvider = ({ name, issuer, client_id, client_secret, scopes, link_by_email }: ProviderValues): SetProvider => ({
  name: name.trim(),
  issuer: issuer.trim(),
  client_id: client_id.trim(),
  scopes: scopes.split(/\s+/).filter(Boolean),
  link_by_email,
  ...(client_secret === '' ? {} : { client_secret }),
})

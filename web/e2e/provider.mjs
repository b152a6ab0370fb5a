// A real provider of OpenID Connect, in a process of its own: `provider.ts` starts it. Says its address on standard output.
import { createServer } from 'node:http'
import { Provider } from 'oidc-provider'

const { client, secret, redirect, people } = JSON.parse(process.argv[2])

const server = createServer()
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`
  const provider = new Provider(issuer, {
    clients: [{ client_id: client, client_secret: secret, redirect_uris: [redirect], grant_types: ['authorization_code'], response_types: ['code'] }],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'] },
    // As most providers do: what the scopes ask for is in the ID token itself.
    conformIdTokenClaims: false,
    // Whoever types a name here is that one, whatever the password.
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email_verified: true, ...people[id] }) }),
    pkce: { required: () => true },
  })
  server.on('request', provider.callback())
  console.log(issuer)
})

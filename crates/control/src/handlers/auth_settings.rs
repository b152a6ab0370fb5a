//! How people sign in besides by password.

use identity::oidc::OidcError;
use operations::Error;
use operations::auth_settings::{AuthSettings, Provider, Set, SetProvider, SetRequest, Show, ShowRequest};
use secrecy::ExposeSecret;

use super::commit;
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::sign_in::oidc::Kept;

/// Where the provider sends people back to.
const CALLBACK: &str = "/auth/oidc/callback";

impl Handle<Show> for Control {
    async fn handle(&self, _: &Admitted, _: ShowRequest) -> Result<AuthSettings, Error> {
        Ok(self.shown(Kept::find(self.store()).await?))
    }
}

impl Handle<Set> for Control {
    async fn handle(&self, who: &Admitted, request: SetRequest) -> Result<AuthSettings, Error> {
        let new = match request.oidc {
            Some(wanted) => Some(self.wanted(wanted).await?),
            None => None,
        };
        let tx = self.write().await?;
        let before = Kept::find(&tx).await?;
        Kept::set(&tx, new.as_ref()).await?;
        let (before, after) = (self.shown(before), self.shown(new));
        who.noted().changed(&before, &after);
        let recorded = self.conclude::<Set>(&tx, who, &after).await?;
        commit(tx, recorded).await?;
        Ok(after)
    }
}

impl Control {
    /// What is kept of it, after a look whether such a provider is there: who mistypes it would learn it from those who can't sign in.
    async fn wanted(&self, wanted: SetProvider) -> Result<Kept, Error> {
        let SetProvider { name, issuer, client_id, client_secret, scopes, link_by_email } = wanted;
        for (field, text, most) in [("name", &name, 60), ("issuer", &issuer, 500), ("client_id", &client_id, 255)] {
            if text.trim().is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
                return Err(Error::invalid(format!(
                    "`{field}`: it has 1 to {most} characters, none of them a control character"
                )));
            }
        }
        let plain = |scope: &String| (1..=100).contains(&scope.len()) && scope.bytes().all(|b| b.is_ascii_graphic());
        if scopes.len() > 20 || !scopes.iter().all(plain) {
            return Err(Error::invalid("`scopes`: 20 words at most, each of visible characters"));
        }
        self.discover(&issuer).await.map_err(|e| match e {
            OidcError::Unreached(why) => Error::unprocessable(format!("`issuer`: {why}")),
            other => Error::unprocessable(format!("`issuer`: {other}"))
                .hint("expected the address that the provider calls itself, such as https://id.example.org"),
        })?;
        let client_secret = match client_secret {
            Some(secret) => Kept::seal(&self.world().vault, &issuer, &client_id, secret.0.expose_secret())?,
            None => {
                let before = Kept::find(self.store()).await?;
                let same = before.filter(|before| before.issuer == issuer && before.client_id == client_id);
                same.map(|before| before.client_secret).ok_or_else(|| {
                    Error::unprocessable("`client_secret`: there is none yet for this issuer and client")
                })?
            }
        };
        Ok(Kept { name, issuer, client_id, client_secret, scopes, link_by_email })
    }

    fn shown(&self, kept: Option<Kept>) -> AuthSettings {
        let oidc = kept.map(|Kept { name, issuer, client_id, client_secret: _, scopes, link_by_email }| Provider {
            name,
            issuer,
            client_id,
            scopes,
            link_by_email,
        });
        let options = &self.inner.options;
        let base = options.public_url.as_ref().unwrap_or(&options.url);
        AuthSettings { oidc, redirect: format!("{base}{CALLBACK}") }
    }
}

//! Tokens that are signed for an hour at most, in the place of an API token: a machine keeps that to itself and hands out these.

use chrono::{DateTime, TimeDelta, Utc};
use identity::jwt::{Claims, LONGEST, Refused, Signer};
use operations::Error;
use operations::sign_in::{AUDIENCE, Sign, Signed};
use secrecy::ExposeSecret;

use crate::caller::{Caller, Credential, Via};
use crate::error::store_error;
use crate::vault::Vault;
use crate::{Control, tokens};

const USUAL: TimeDelta = TimeDelta::minutes(15);

/// Makes and reads them, for the audiences that this server is.
pub(crate) struct Signing {
    signer: Signer,
    /// The server's public address.
    address: Option<String>,
}

impl Signing {
    pub(super) fn new(vault: &Vault, address: Option<String>) -> Self {
        Self { signer: Signer::new(&vault.jwt_key()), address }
    }

    /// What one of ours says.
    pub(crate) fn verify(&self, text: &str, now: DateTime<Utc>) -> Result<Claims, Refused> {
        self.signer.verify(text, &self.audiences(), now)
    }

    fn audiences(&self) -> Vec<&str> {
        std::iter::once(AUDIENCE).chain(self.address.as_deref()).collect()
    }

    fn audience<'a>(&'a self, asked: Option<&str>) -> Result<&'a str, Error> {
        let ours = self.audiences();
        let asked = asked.unwrap_or(AUDIENCE);
        ours.iter().copied().find(|audience| *audience == asked).ok_or_else(|| {
            Error::invalid("`audience`: this server takes no token for that one")
                .hint(format!("expected {}; its public address is what `--public-url` says", ours.join(" or ")))
        })
    }
}

impl Control {
    /// Signs one in the place of the API token that the caller came with. It is worth what that is worth, and ends with it.
    ///
    /// # Errors
    /// `Invalid` for who came with anything else, and for what is longer than an hour or for somebody else.
    pub async fn sign_token(&self, caller: &Caller, request: &Sign) -> Result<Signed, Error> {
        let id = match (&caller.credential, caller.via) {
            (Credential::Token(_), Via::Local) => {
                return Err(Error::invalid(
                    "of the token of this machine none is made: it is another one at each start",
                )
                .hint("make a token for it: `plimsoll tokens create NAME`"));
            }
            (Credential::Token(id), _) => id,
            // One would go on for ever in the next one.
            (Credential::Signed { .. } | Credential::Session { .. } | Credential::Inside, _) => {
                return Err(Error::invalid("a signed token is made of an API token, and of nothing else")
                    .hint("send the API token itself: `Authorization: Bearer plim_…`"));
            }
        };
        let lasts = match request.expires_in {
            None => USUAL,
            Some(lifetime) => {
                TimeDelta::from_std(lifetime.get()).ok().filter(|lasts| *lasts <= LONGEST).ok_or_else(|| {
                    Error::invalid("`expires_in`: a signed token is good for an hour at most").hint("such as 15m")
                })?
            }
        };
        let signing = &self.inner.sign_ins.signed;
        let audience = signing.audience(request.audience.as_deref())?;
        let now = store::clock::now();
        let own = store::tokens::get(self.store(), id).await.map_err(store_error)?;
        let lasts = own.expires_at.map_or(lasts, |end| lasts.min(end - now));
        let (secret, claims) = signing.signer.sign(id.clone(), audience, lasts, now).map_err(|_| tokens::refused())?;
        let expires_at = DateTime::from_timestamp(claims.exp, 0).ok_or_else(Error::internal)?;
        Ok(Signed { secret: secret.expose_secret().to_owned(), audience: audience.to_owned(), expires_at })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_for_this_server() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("k"), true).unwrap();
        let named = Signing::new(&vault, Some("https://deploy.example.org".to_owned()));
        assert_eq!(named.audience(None).unwrap(), "plimsoll");
        assert_eq!(named.audience(Some("https://deploy.example.org")).unwrap(), "https://deploy.example.org");
        for bad in ["", "https://other.example.org", "https://deploy.example.org/", "Plimsoll"] {
            let error = named.audience(Some(bad)).unwrap_err();
            assert!(error.detail.starts_with("`audience`"), "{error}");
        }
        assert!(Signing::new(&vault, None).audience(Some("https://deploy.example.org")).is_err());
    }
}

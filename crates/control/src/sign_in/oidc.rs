//! Signing in by a provider's word: from the address that a browser is sent to, to the session of the person who came back.
//!
//! Who somebody is, the provider's *subject* says, for ever; an address only where it was verified, and only to find who was
//! invited or, when that is allowed, who is here already. Whoever else comes is nobody here.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use domain::access::Role;
use domain::email::Email;
use domain::session::SignInMethod;
use domain::{SessionId, UserId};
use identity::oidc::{
    Asked, Client, Fetch, Fetching, HttpRequest, HttpResponse, OidcError, Provider, Subject, Unreached,
};
use operations::Error;
use outgoing::Outgoing;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use store::identities::{self, Identity};
use store::invitations::{self, Invitation};
use store::memberships::{self, Membership};
use store::users::{self, User};
use store::{Session, Tx};
use ulid::Ulid;

use super::record::Told;
use super::{Opened, Visitor, inviter};
use crate::Control;
use crate::audit::commit;
use crate::error::store_error;
use crate::vault::{Vault, VaultError};

const SETTING: &str = "oidc";
const PURPOSE: &str = "oidc";
/// So long somebody may take at the provider.
const OPEN: TimeDelta = TimeDelta::minutes(10);
/// So long a provider's description is good enough to send people there. Its keys are asked for anew at each answer.
const FRESH: Duration = Duration::from_secs(300);
const LONGEST_NAME: usize = 100;

/// What is kept of a provider. The secret is sealed.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) name: String,
    pub(crate) issuer: String,
    pub(crate) client_id: String,
    /// Hexadecimal.
    pub(crate) client_secret: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) link_by_email: bool,
}

/// The description of the provider that people were last sent to.
#[derive(Default)]
pub(crate) struct Known(Mutex<Option<(String, Instant, std::sync::Arc<Provider>)>>);

/// Where a browser goes, and what it keeps until it comes back.
pub struct SentAway {
    pub address: String,
    pub ticket: SecretString,
}

/// With what a browser came back.
pub struct CameBack<'a> {
    pub ticket: Option<&'a str>,
    pub state: Option<&'a str>,
    pub code: Option<&'a str>,
    /// The provider's word for why there is no code.
    pub error: Option<&'a str>,
}

/// Why nobody is signed in. Details are in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OidcRefusal {
    /// It took too long, or this is another browser, or another question than was asked.
    Over,
    /// The provider said no.
    Denied,
    /// The provider does not answer as it should.
    Provider,
    /// Nobody here is known by that subject, and nobody has invited it.
    Nobody,
    /// Somebody here has that address, and nobody has made sure that it is theirs.
    Unproven,
    /// The server itself can't.
    Unavailable,
}

impl OidcRefusal {
    /// For the page's address.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Over => "over",
            Self::Denied => "denied",
            Self::Provider => "provider",
            Self::Nobody => "nobody",
            Self::Unproven => "unproven",
            Self::Unavailable => "unavailable",
        }
    }
}

impl From<Error> for OidcRefusal {
    fn from(error: Error) -> Self {
        tracing::warn!("signing in by a provider: {error}");
        Self::Unavailable
    }
}

#[derive(Serialize, Deserialize)]
struct Ticket {
    asked: Asked,
    issuer: String,
    client_id: String,
    redirect: String,
    next: String,
    /// In which the browser was when it left. Its cookie does not come back with a visit from another site.
    session: Option<SessionId>,
    /// The name that the browser is known by, for the same reason.
    browser: Option<String>,
}

/// The way to the provider, over addresses that were judged.
pub(crate) struct Way(pub(crate) Outgoing);

impl Fetch for Way {
    fn fetch(&self, request: HttpRequest) -> Fetching {
        let outgoing = self.0.clone();
        Fetching::new(async move {
            let (head, body) = request.into_parts();
            let unreached = |e: outgoing::OutgoingError| Unreached(e.to_string());
            let address: outgoing::Address = head.uri.to_string().parse().map_err(unreached)?;
            let answer = outgoing.send(head.method, &address, head.headers, body.into()).await.map_err(unreached)?;
            if !answer.whole {
                return Err(Unreached("its answer is larger than 64 KiB".to_owned()));
            }
            let mut response = HttpResponse::new(answer.body.to_vec());
            *response.status_mut() = answer.status;
            *response.headers_mut() = answer.headers;
            Ok(response)
        })
    }
}

impl Kept {
    pub(crate) async fn find(session: &impl Session) -> Result<Option<Self>, Error> {
        store::settings::find(session, None, SETTING).await.map_err(store_error)
    }

    pub(crate) async fn set(tx: &Tx, kept: Option<&Self>) -> Result<(), Error> {
        store::settings::set(tx, None, SETTING, kept).await.map_err(store_error)
    }

    /// What `client_secret` is to hold.
    pub(crate) fn seal(vault: &Vault, issuer: &str, client_id: &str, secret: &str) -> Result<String, Error> {
        let sealed = vault.settings_keys().seal(&purpose(issuer, client_id), secret.as_bytes());
        sealed.map(|sealed| hex(&sealed)).map_err(|e| {
            tracing::error!("a secret can't be sealed: {e}");
            Error::internal()
        })
    }

    fn secret(&self, vault: &Vault) -> Result<SecretString, Error> {
        let bytes = unhex(&self.client_secret);
        let opened =
            bytes.and_then(|bytes| vault.settings_keys().open(&purpose(&self.issuer, &self.client_id), &bytes).ok());
        let text =
            opened.and_then(|plain| std::str::from_utf8(&plain).ok().map(|text| SecretString::from(text.to_owned())));
        text.ok_or_else(|| {
            Error::unavailable("the secret that this server has at the sign-in provider does not open")
                .hint("it was sealed with another key file: set it again, `plimsoll sign-in set`")
        })
    }

    /// The same with its secret under the key in use; `None` when it is already.
    pub(crate) fn reseal(&self, vault: &Vault) -> Result<Option<Self>, VaultError> {
        let sealed = unhex(&self.client_secret).ok_or(VaultError::Sealed)?;
        let anew = vault.settings_keys().reseal(&purpose(&self.issuer, &self.client_id), &sealed)?;
        Ok(anew.map(|anew| Self { client_secret: hex(&anew), ..self.clone() }))
    }

    fn client(&self, vault: &Vault, redirect: &str) -> Result<Client, Error> {
        Ok(Client { id: self.client_id.clone(), secret: self.secret(vault)?, redirect: redirect.to_owned() })
    }
}

fn purpose(issuer: &str, client_id: &str) -> String {
    format!("oidc client secret\0{issuer}\0{client_id}")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2).map(|pair| match pair {
        // Below 256.
        [high, low] => Some((digit(*high)? * 16 + digit(*low)?) as u8),
        _ => None,
    });
    pairs.collect()
}

impl Control {
    /// What the provider is called, if there is one.
    pub async fn oidc_name(&self) -> Result<Option<String>, Error> {
        Ok(Kept::find(self.store()).await?.map(|kept| kept.name))
    }

    /// Sends a browser to the provider. `redirect` is where it is to come back to, `next` where it goes from there.
    ///
    /// # Errors
    /// `NotFound` when there is none; `Unavailable` when it does not answer as it should.
    pub async fn begin_oidc(&self, visitor: &Visitor, redirect: &str, next: &str) -> Result<SentAway, Error> {
        let none = || Error::not_found("there is no sign-in provider").hint("sign in with your password");
        let kept = Kept::find(self.store()).await?.ok_or_else(none)?;
        let client = kept.client(&self.world().vault, redirect)?;
        let provider = match self.inner.sign_ins.provider.fresh(&kept.issuer) {
            Some(provider) => provider,
            None => {
                let found = std::sync::Arc::new(self.discover(&kept.issuer).await.map_err(|e| not_fit(&e))?);
                self.inner.sign_ins.provider.keep(&kept.issuer, &found);
                found
            }
        };
        let (address, asked) = provider.ask(&client, &kept.scopes).map_err(|e| not_fit(&e))?;
        let session = self.came_with(self.store(), visitor).await?;
        let now = store::clock::now();
        let ticket = Ticket {
            asked,
            issuer: kept.issuer,
            client_id: kept.client_id,
            redirect: redirect.to_owned(),
            next: next.to_owned(),
            session,
            browser: self.browser(visitor, now),
        };
        let sealed = self.inner.sign_ins.sealer.seal(PURPOSE, &ticket, now + OPEN).map_err(|e| {
            tracing::error!("a ticket can't be sealed: {e}");
            Error::internal()
        })?;
        Ok(SentAway { address, ticket: sealed.into() })
    }

    /// Begins a session for who came back; where to go from there.
    pub async fn finish_oidc(&self, visitor: &Visitor, back: &CameBack<'_>) -> Result<(Opened, String), OidcRefusal> {
        let now = store::time::micros(store::clock::now());
        let ticket =
            back.ticket.and_then(|ticket| self.inner.sign_ins.sealer.open::<Ticket>(PURPOSE, ticket, now).ok());
        let ticket = ticket.ok_or(OidcRefusal::Over)?;
        if let Some(error) = back.error {
            let error: String = error.chars().filter(|c| c.is_ascii_graphic()).take(80).collect();
            tracing::info!(error, "the sign-in provider let somebody not in");
            return Err(OidcRefusal::Denied);
        }
        let (Some(state), Some(code)) = (back.state, back.code) else { return Err(OidcRefusal::Over) };
        let kept = Kept::find(self.store()).await?;
        // It may have been another provider when this was asked.
        let same = |kept: &Kept| kept.issuer == ticket.issuer && kept.client_id == ticket.client_id;
        let kept = kept.filter(same).ok_or(OidcRefusal::Over)?;
        let client = kept.client(&self.world().vault, &ticket.redirect)?;
        let subject = match self.heard(&kept, &client, &ticket.asked, state, code).await {
            Ok(subject) => subject,
            Err(OidcError::Strange) => return Err(OidcRefusal::Over),
            Err(e) => {
                tracing::warn!("signing in by a provider: {e}");
                return Err(OidcRefusal::Provider);
            }
        };
        let tx = self.write().await?;
        let user = match self.who_is(&tx, visitor, &kept, &subject, now).await? {
            Ok(user) => user,
            Err(why) => {
                drop(tx);
                let email = verified(&subject);
                tracing::info!(subject = %subject.subject, why = why.as_str(), "somebody who is not let in came by the sign-in provider");
                let detail = json!({ "failures": 1, "has_to_wait": false });
                if let Err(e) = self.record_failure(visitor, email.as_ref(), "auth.oidc", detail).await {
                    tracing::warn!("a failure to sign in is not in the audit log: {e}");
                }
                return Err(why);
            }
        };
        let place = self.known_from_now(&tx, visitor, &user.email, ticket.browser, now).await?;
        if let Some(left) = &ticket.session {
            self.end_replaced(&tx, left, visitor, now).await?;
        }
        let opened = self.open(&tx, &user, SignInMethod::Oidc, visitor, place, now).await?;
        users::signed_in(&tx, &user.id, now).await.map_err(store_error)?;
        let told = Told { operation: "auth.oidc", target: opened.session.to_string(), failures: 0 };
        let recorded = self.record_person(&tx, &user, visitor, told, now).await?;
        commit(tx, recorded).await?;
        Ok((opened, ticket.next))
    }

    pub(crate) async fn discover(&self, issuer: &str) -> Result<Provider, OidcError> {
        Provider::discover(issuer, &self.way().await?).await
    }

    async fn way(&self) -> Result<Way, OidcError> {
        self.outgoing().await.map(Way).map_err(|e| OidcError::Unreached(e.to_string()))
    }

    async fn heard(
        &self,
        kept: &Kept,
        client: &Client,
        asked: &Asked,
        state: &str,
        code: &str,
    ) -> Result<Subject, OidcError> {
        let way = self.way().await?;
        let provider = Provider::discover(&kept.issuer, &way).await?;
        let came = provider.answer(client, asked, state, code, Utc::now(), &way).await?;
        // Who is known by their subject needs no address, and comes in whatever else the provider does.
        let Subject { issuer, subject, .. } = &came.subject;
        match identities::find(self.store(), issuer, subject).await {
            Ok(Some(_)) => Ok(came.subject),
            // A database that does not answer is said by the transaction that follows.
            Ok(None) | Err(_) => provider.with_address(client, came, &way).await,
        }
    }

    /// The person whom a subject is here; linked or made, if that may be. Or why it is nobody.
    async fn who_is(
        &self,
        tx: &Tx,
        visitor: &Visitor,
        kept: &Kept,
        subject: &Subject,
        now: DateTime<Utc>,
    ) -> Result<Result<User, OidcRefusal>, Error> {
        let email = subject.email.as_deref();
        if let Some(identity) = identities::find(tx, &subject.issuer, &subject.subject).await.map_err(store_error)? {
            identities::used(tx, &subject.issuer, &subject.subject, email, now).await.map_err(store_error)?;
            let user = users::find(tx, &identity.user).await.map_err(store_error)?;
            return Ok(user.filter(|user| !user.disabled).ok_or(OidcRefusal::Nobody));
        }
        let Some(address) = verified(subject) else { return Ok(Err(OidcRefusal::Nobody)) };
        let known = users::find_by_email(tx, &address).await.map_err(store_error)?;
        let (user, target) = match known {
            Some(user) if kept.link_by_email && !user.disabled => {
                // Else whoever took an address that is not theirs would share a person with its owner. Whoever is let past this
                // keeps password, second factor, tokens and sessions: they have been this person all along by an owner's word, and
                // that the provider is away, or cleared, must not lock them out.
                if !invitations::vouches(tx, &user.id, &address).await.map_err(store_error)? {
                    return Ok(Err(OidcRefusal::Unproven));
                }
                let target = user.id.to_string();
                (user, target)
            }
            Some(_) => return Ok(Err(OidcRefusal::Nobody)),
            None => {
                let all = invitations::open(tx, None, now).await.map_err(store_error)?;
                let mut theirs = Vec::new();
                for invitation in all.into_iter().filter(|open| open.email.as_ref() == Some(&address)) {
                    if inviter::still_may(tx, &invitation, now).await? {
                        theirs.push(invitation);
                    }
                }
                let Some(first) = theirs.first() else { return Ok(Err(OidcRefusal::Nobody)) };
                let target = first.id.to_string();
                (become_person(tx, &address, subject, &theirs, now).await?, target)
            }
        };
        let identity = Identity {
            issuer: subject.issuer.clone(),
            subject: subject.subject.clone(),
            user: user.id.clone(),
            email: subject.email.clone(),
            linked_at: now,
            used_at: now,
        };
        identities::insert(tx, &identity).await.map_err(store_error)?;
        let told = Told { operation: "auth.link", target, failures: 0 };
        // That of the session comes after it, and lets the transaction go.
        let _ = self.record_person(tx, &user, visitor, told, now).await?;
        Ok(Ok(user))
    }
}

impl Known {
    fn fresh(&self, issuer: &str) -> Option<std::sync::Arc<Provider>> {
        let known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (_, _, provider) = known.as_ref().filter(|(of, at, _)| of == issuer && at.elapsed() < FRESH)?;
        Some(provider.clone())
    }

    fn keep(&self, issuer: &str, provider: &std::sync::Arc<Provider>) {
        let mut known = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *known = Some((issuer.to_owned(), Instant::now(), provider.clone()));
    }
}

/// Who sets it up is told; who signs in, that it does not work.
pub(crate) fn not_fit(error: &OidcError) -> Error {
    tracing::warn!("the sign-in provider: {error}");
    Error::unavailable("the sign-in provider does not answer as it should")
        .hint("try again, or sign in with your password; the server's log says more")
}

/// The address, if the provider has made sure of it.
fn verified(subject: &Subject) -> Option<Email> {
    subject.email.as_deref().filter(|_| subject.email_verified)?.parse().ok()
}

/// Somebody new, with what all their invitations give.
async fn become_person(
    tx: &Tx,
    address: &Email,
    subject: &Subject,
    theirs: &[Invitation],
    now: DateTime<Utc>,
) -> Result<User, Error> {
    let user = User {
        id: UserId::from_ulid(Ulid::generate()),
        email: address.clone(),
        name: called(subject, address),
        password: None,
        password_changed_at: None,
        disabled: false,
        everywhere: theirs.iter().filter_map(|invitation| invitation.everywhere).max(),
        grants_version: 1,
        preferences: json!({}),
        created_at: now,
        created_by: theirs.first().map(|invitation| invitation.created_by.clone()).unwrap_or_default(),
        last_sign_in_at: Some(now),
    };
    users::insert(tx, &user).await.map_err(store_error)?;
    let acceptance = invitations::Acceptance { by: user.id.clone(), at: now };
    for invitation in theirs {
        invitations::accept(tx, &invitation.id, &acceptance).await.map_err(store_error)?;
        let Some((app, role)) = &invitation.app else { continue };
        let had = memberships::find(tx, &user.id, app).await.map_err(store_error)?.map(|had| had.role);
        let membership = Membership {
            user: user.id.clone(),
            app: app.clone(),
            role: had.map_or(*role, |had| had.max(*role)),
            granted_by: invitation.created_by.clone(),
            granted_at: now,
        };
        memberships::set(tx, &membership).await.map_err(store_error)?;
    }
    if user.everywhere == Some(Role::Owner) {
        invitations::withdraw_first(tx).await.map_err(store_error)?;
    }
    // The roles have another version by now.
    users::get(tx, &user.id).await.map_err(store_error)
}

/// As the provider has it; else by the address.
fn called(subject: &Subject, address: &Email) -> String {
    let name = subject.name.as_deref().unwrap_or_default();
    let name: String = name.trim().chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    match name.is_empty() {
        true => address.as_str().split('@').next().unwrap_or_default().to_owned(),
        false => name,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn subject(email: Option<&str>, email_verified: bool, name: Option<&str>) -> Subject {
        let own = |text: &str| text.to_owned();
        Subject {
            issuer: own("https://id.example.org"),
            subject: own("248"),
            email: email.map(own),
            email_verified,
            name: name.map(own),
        }
    }

    #[test]
    fn only_an_address_that_was_verified_counts() {
        assert_eq!(verified(&subject(Some("Zoe@Example.org"), true, None)).unwrap().as_str(), "zoe@example.org");
        assert_eq!(verified(&subject(Some("zoe@example.org"), false, None)), None);
        assert_eq!(verified(&subject(None, true, None)), None);
        assert_eq!(verified(&subject(Some("zoe"), true, None)), None);
    }

    #[test]
    fn somebody_new_has_a_name() {
        let address: Email = "zoe@example.org".parse().unwrap();
        assert_eq!(called(&subject(None, false, Some(" Zoë \u{7}A ")), &address), "Zoë A");
        assert_eq!(called(&subject(None, false, Some("\n")), &address), "zoe");
        assert_eq!(called(&subject(None, false, None), &address), "zoe");
        assert_eq!(called(&subject(None, false, Some(&"a".repeat(500))), &address).len(), 100);
    }

    #[test]
    fn a_secret_opens_for_its_provider_alone() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("k"), true).unwrap();
        let kept = Kept {
            name: "Example".into(),
            issuer: "https://id.example.org".into(),
            client_id: "plimsoll".into(),
            client_secret: Kept::seal(&vault, "https://id.example.org", "plimsoll", "s3cret").unwrap(),
            scopes: Vec::new(),
            link_by_email: false,
        };
        assert_eq!(kept.secret(&vault).unwrap().expose_secret(), "s3cret");
        assert!(!kept.client_secret.contains("s3cret"));
        assert!(Kept { issuer: "https://evil.example".into(), ..kept.clone() }.secret(&vault).is_err());
        for bad in ["", "0", "zz", &kept.client_secret[2..]] {
            assert!(Kept { client_secret: bad.into(), ..kept.clone() }.secret(&vault).is_err(), "{bad}");
        }
    }
}

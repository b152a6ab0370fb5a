//! Signing in by somebody else's word: OpenID Connect, by the code flow with PKCE, state and nonce, and nothing else.
//!
//! A leaf all the same: whoever calls brings [`Fetch`], the way to the provider, and the time. What the provider says is believed
//! only when it is signed with one of its public keys, for us, just now, and in answer to our own question.

use std::pin::Pin;
use std::task::{Context, Poll};

use chrono::{DateTime, TimeDelta, Utc};
use openidconnect::core::{
    CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreIdToken, CoreIdTokenVerifier,
    CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreUserInfoClaims,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndUserName,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IssuerUrl, LocalizedClaim, Nonce, OAuth2TokenResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, SubjectIdentifier, TokenResponse, UserInfoError,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

pub use openidconnect::{HttpRequest, HttpResponse};

/// One request to the provider. Redirects are answers; which addresses may be asked is for who makes it.
pub trait Fetch: Send + Sync {
    fn fetch(&self, request: HttpRequest) -> Fetching;
}

/// An answer to come. A type without a lifetime, of which the compiler knows that it outlives any.
pub struct Fetching(Pin<Box<dyn Future<Output = Result<HttpResponse, Unreached>> + Send>>);

impl Fetching {
    pub fn new(answer: impl Future<Output = Result<HttpResponse, Unreached>> + Send + 'static) -> Self {
        Self(Box::pin(answer))
    }
}

impl Future for Fetching {
    type Output = Result<HttpResponse, Unreached>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(context)
    }
}

/// Why there was no answer, for the log: it names hosts alone.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unreached(pub String);

/// Clocks may go a little apart.
const SKEW: TimeDelta = TimeDelta::seconds(60);
/// An answer is of the question that was asked a moment ago.
const OLDEST: TimeDelta = TimeDelta::minutes(10);
/// Signatures with a key that the provider alone has. `none` is none, and by HS256 whoever has our secret, or takes a public key
/// for one, could sign.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// Of a subject; the specification says so.
const LONGEST_SUBJECT: usize = 255;

/// The library's client of a provider that has described itself, before it is told where browsers come back to.
type Us = CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// As what we are known to the provider.
pub struct Client {
    pub id: String,
    pub secret: SecretString,
    /// Where the provider sends the browser back to, as it was told.
    pub redirect: String,
}

/// What was asked, for the browser to keep, sealed, until it comes back.
#[derive(Serialize, Deserialize)]
pub struct Asked {
    state: String,
    nonce: String,
    verifier: String,
}

/// Who came, by the provider's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub issuer: String,
    /// Names them for ever at this provider; nothing else does.
    pub subject: String,
    pub email: Option<String>,
    /// The provider has made sure that the address is theirs.
    pub email_verified: bool,
    pub name: Option<String>,
}

/// Who came back, and what lets the provider be asked more of them.
pub struct Came {
    pub subject: Subject,
    access: AccessToken,
}

/// Why nobody came of it. For the log and for who sets it up; who signs in is told less.
#[derive(Debug, thiserror::Error)]
pub enum OidcError {
    #[error("the provider was not reached: {0}")]
    Unreached(String),
    /// Its own description, or its answer, is not as it should be.
    #[error("the provider is not set up for this: {0}")]
    Unfit(String),
    /// The code was not taken.
    #[error("the provider gave no token: {0}")]
    NoToken(String),
    /// What it says is not to be believed.
    #[error("the provider's token is not taken: {0}")]
    Untrue(String),
    /// The answer is to another question.
    #[error("the answer is not to what this browser has asked")]
    Strange,
}

/// A provider, as it describes itself.
pub struct Provider {
    metadata: CoreProviderMetadata,
}

impl Provider {
    /// Asks for its description and its keys.
    ///
    /// # Errors
    /// `Unreached`, `Unfit`; also when it calls itself something else than `issuer`.
    pub async fn discover(issuer: &str, fetch: &dyn Fetch) -> Result<Self, OidcError> {
        let url = IssuerUrl::new(issuer.to_owned()).map_err(|e| OidcError::Unfit(e.to_string()))?;
        let http = |request: HttpRequest| fetch.fetch(request);
        match CoreProviderMetadata::discover_async(url, &http).await {
            Ok(metadata) => Ok(Self { metadata }),
            Err(openidconnect::DiscoveryError::Request(e)) => Err(OidcError::Unreached(e.to_string())),
            Err(e) => Err(OidcError::Unfit(told(&e))),
        }
    }

    /// Where to send the browser, and what it is to keep.
    pub fn ask(&self, client: &Client, scopes: &[String]) -> Result<(String, Asked), OidcError> {
        let oidc = self.known_as(client).set_redirect_uri(redirect(client)?);
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let (url, state, nonce) = oidc
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .add_scopes(scopes.iter().cloned().map(Scope::new))
            .set_pkce_challenge(challenge)
            .url();
        let asked =
            Asked { state: state.secret().clone(), nonce: nonce.secret().clone(), verifier: verifier.secret().clone() };
        Ok((url.into(), asked))
    }

    /// Who came back with this code and state.
    ///
    /// # Errors
    /// `Strange` for another state; `NoToken`, `Untrue`, `Unreached`, `Unfit`.
    pub async fn answer(
        &self,
        client: &Client,
        asked: &Asked,
        state: &str,
        code: &str,
        now: DateTime<Utc>,
        fetch: &dyn Fetch,
    ) -> Result<Came, OidcError> {
        // By digests, so that how long it takes says nothing of where they differ.
        if crate::digest::of(state) != crate::digest::of(&asked.state) {
            return Err(OidcError::Strange);
        }
        let oidc = self.known_as(client).set_redirect_uri(redirect(client)?).set_auth_type(self.how_to_prove());
        let http = |request: HttpRequest| fetch.fetch(request);
        let exchange = oidc
            .exchange_code(AuthorizationCode::new(code.to_owned()))
            .map_err(|e| OidcError::Unfit(e.to_string()))?
            .set_pkce_verifier(PkceCodeVerifier::new(asked.verifier.clone()));
        let tokens = exchange.request_async(&http).await.map_err(|e| match e {
            openidconnect::RequestTokenError::Request(e) => OidcError::Unreached(e.to_string()),
            // Of the description, which may quote what was sent, nothing.
            openidconnect::RequestTokenError::ServerResponse(said) => OidcError::NoToken(said.error().to_string()),
            openidconnect::RequestTokenError::Parse(..) => OidcError::NoToken("its answer can't be read".to_owned()),
            openidconnect::RequestTokenError::Other(e) => OidcError::NoToken(e),
        })?;
        let token = tokens.id_token().ok_or_else(|| OidcError::NoToken("it sent no ID token".to_owned()))?;
        let subject = believed(token, tokens.access_token(), &oidc.id_token_verifier(), client, asked, now)?;
        Ok(Came { subject, access: tokens.access_token().clone() })
    }

    /// Who came, with their address as far as the provider tells it: where it leaves it out of its token, it is asked for it apart,
    /// as the specification lets it. Its answer counts for the very subject of the token alone.
    ///
    /// # Errors
    /// `Untrue`, `Unreached`, `Unfit`.
    pub async fn with_address(&self, client: &Client, came: Came, fetch: &dyn Fetch) -> Result<Subject, OidcError> {
        let Came { mut subject, access } = came;
        if subject.email.is_some() || self.metadata.userinfo_endpoint().is_none() {
            return Ok(subject);
        }
        let http = |request: HttpRequest| fetch.fetch(request);
        let more: CoreUserInfoClaims = self
            .known_as(client)
            .user_info(access, Some(SubjectIdentifier::new(subject.subject.clone())))
            .map_err(|e| OidcError::Unfit(e.to_string()))?
            .request_async(&http)
            .await
            .map_err(|e| match e {
                UserInfoError::Request(e) => OidcError::Unreached(e.to_string()),
                UserInfoError::ClaimsVerification(e) => OidcError::Untrue(told(&e)),
                // Of what can't be read, which is about somebody, nothing.
                _ => OidcError::Unfit("what it says of who came can't be read".to_owned()),
            })?;
        subject.email = more.email().map(|email| email.as_str().to_owned());
        subject.email_verified = more.email_verified().unwrap_or(false);
        subject.name = subject.name.or_else(|| plain(more.name()));
        Ok(subject)
    }

    fn known_as(&self, client: &Client) -> Us {
        CoreClient::from_provider_metadata(
            self.metadata.clone(),
            ClientId::new(client.id.clone()),
            Some(ClientSecret::new(client.secret.expose_secret().to_owned())),
        )
    }

    /// By its own words; the one that every provider takes when it says nothing.
    fn how_to_prove(&self) -> AuthType {
        let known = self.metadata.token_endpoint_auth_methods_supported();
        let takes = |method| known.is_none_or(|known| known.contains(&method));
        if takes(CoreClientAuthMethod::ClientSecretBasic) { AuthType::BasicAuth } else { AuthType::RequestBody }
    }
}

fn redirect(client: &Client) -> Result<RedirectUrl, OidcError> {
    RedirectUrl::new(client.redirect.clone()).map_err(|e| OidcError::Unfit(e.to_string()))
}

/// What the token says, if it is to be believed. Issuer, audience and signature are looked at by the library, which takes no second
/// audience either.
fn believed(
    token: &CoreIdToken,
    access: &AccessToken,
    verifier: &CoreIdTokenVerifier<'_>,
    client: &Client,
    asked: &Asked,
    now: DateTime<Utc>,
) -> Result<Subject, OidcError> {
    let untrue = |why: &str| OidcError::Untrue(why.to_owned());
    let verifier =
        verifier.clone().set_allowed_algs(ALGORITHMS).set_time_fn(move || now - SKEW).set_issue_time_verifier_fn(
            move |made| match (now - OLDEST - SKEW..=now + SKEW).contains(&made) {
                true => Ok(()),
                false => Err("it was not made just now".to_owned()),
            },
        );
    let claims = token.claims(&verifier, &Nonce::new(asked.nonce.clone())).map_err(|e| OidcError::Untrue(told(&e)))?;
    if claims.authorized_party().is_some_and(|party| party.as_str() != client.id) {
        return Err(untrue("it was made for another party"));
    }
    if let Some(expected) = claims.access_token_hash() {
        let algorithm = token.signing_alg().map_err(|e| OidcError::Untrue(told(&e)))?;
        let key = token.signing_key(&verifier).map_err(|e| OidcError::Untrue(told(&e)))?;
        let actual = AccessTokenHash::from_token(access, algorithm, key).map_err(|e| OidcError::Untrue(told(&e)))?;
        if actual != *expected {
            return Err(untrue("it came with another token than it was made with"));
        }
    }
    let subject = claims.subject().as_str();
    if subject.is_empty() || subject.len() > LONGEST_SUBJECT {
        return Err(untrue("its subject is empty or too long"));
    }
    Ok(Subject {
        issuer: claims.issuer().as_str().to_owned(),
        subject: subject.to_owned(),
        email: claims.email().map(|email| email.as_str().to_owned()),
        email_verified: claims.email_verified().unwrap_or(false),
        name: plain(claims.name()),
    })
}

/// The one that is of no language.
fn plain(name: Option<&LocalizedClaim<EndUserName>>) -> Option<String> {
    name?.get(None).map(|name| name.as_str().to_owned())
}

/// With its causes.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

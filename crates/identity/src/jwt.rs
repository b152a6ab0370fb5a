//! Signed tokens that a machine makes of its API token, for an hour at most: JSON Web Tokens with HS256 and nothing else.
//!
//! They name the API token that they were made of. Whoever takes one still reads that token's row, so what is withdrawn ends at once.

use chrono::{DateTime, TimeDelta, Utc};
use domain::TokenId;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

pub const LONGEST: TimeDelta = TimeDelta::hours(1);

const ISSUER: &str = "plimsoll";
/// Servers of one database may go a little apart.
const SKEW: i64 = 60;
/// Ours are below 400 bytes.
const LONGEST_TEXT: usize = 2_048;

/// Makes and reads them, with one key.
pub struct Signer {
    signs: EncodingKey,
    verifies: DecodingKey,
}

/// What one says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub iss: String,
    /// The API token that it stands for.
    pub sub: TokenId,
    /// Who may take it.
    pub aud: String,
    /// Seconds since 1970.
    pub iat: i64,
    pub exp: i64,
    pub jti: String,
}

/// Why one is not taken, or not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("it may be good for one second to one hour")]
    Lifetime,
    #[error("it has expired")]
    Expired,
    /// Also another algorithm, issuer or audience, and anything that is no token of ours.
    #[error("it is not a token of this server's")]
    Strange,
}

/// Whether a bearer token looks like one: three parts with dots.
pub fn is_plausible(text: &str) -> bool {
    let part = |part: &str| part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    text.len() <= LONGEST_TEXT && text.starts_with("ey") && text.split('.').count() == 3 && text.split('.').all(part)
}

impl Signer {
    pub fn new(key: &[u8; 32]) -> Self {
        Self { signs: EncodingKey::from_secret(key), verifies: DecodingKey::from_secret(key) }
    }

    /// A token for `audience` that stands for the API token `sub`, and what it says.
    ///
    /// # Errors
    /// `Lifetime`.
    pub fn sign(
        &self,
        sub: TokenId,
        audience: &str,
        lasts: TimeDelta,
        now: DateTime<Utc>,
    ) -> Result<(SecretString, Claims), Refused> {
        if lasts < TimeDelta::seconds(1) || lasts > LONGEST {
            return Err(Refused::Lifetime);
        }
        let claims = Claims {
            iss: ISSUER.to_owned(),
            sub,
            aud: audience.to_owned(),
            iat: now.timestamp(),
            exp: (now + lasts).timestamp(),
            jti: format!("jwt_{}", Ulid::from_bytes(rand::random()).to_string().to_lowercase()),
        };
        let text = jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &self.signs);
        text.map(|text| (SecretString::from(text), claims)).map_err(|_| Refused::Strange)
    }

    /// What a token of ours for one of these audiences says.
    ///
    /// # Errors
    /// `Expired`, `Strange`.
    pub fn verify(&self, text: &str, audiences: &[&str], now: DateTime<Utc>) -> Result<Claims, Refused> {
        if !is_plausible(text) {
            return Err(Refused::Strange);
        }
        // The algorithm is ours to choose, never the token's. Time is looked at below, by the caller's clock.
        let mut rules = Validation::new(Algorithm::HS256);
        rules.validate_exp = false;
        rules.set_issuer(&[ISSUER]);
        rules.set_audience(audiences);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let claims = jsonwebtoken::decode::<Claims>(text, &self.verifies, &rules).map_err(|_| Refused::Strange)?.claims;
        let now = now.timestamp();
        let lasts = claims.exp.checked_sub(claims.iat).ok_or(Refused::Strange)?;
        if !(1..=LONGEST.num_seconds()).contains(&lasts) || claims.iat > now.saturating_add(SKEW) {
            return Err(Refused::Strange);
        }
        if claims.exp <= now { Err(Refused::Expired) } else { Ok(claims) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use secrecy::ExposeSecret;

    use super::*;

    const KEY: [u8; 32] = [9; 32];

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    fn token() -> TokenId {
        TokenId::from_ulid(Ulid::from_parts(1, 2))
    }

    fn made(lasts: TimeDelta) -> String {
        Signer::new(&KEY).sign(token(), "plimsoll", lasts, at(0)).unwrap().0.expose_secret().to_owned()
    }

    fn verify(text: &str, second: i64) -> Result<Claims, Refused> {
        Signer::new(&KEY).verify(text, &["plimsoll", "https://deploy.example.org"], at(second))
    }

    /// One with any header and any claims, signed with HS256 under `key`.
    fn forged(key: &[u8], header: &str, claims: &serde_json::Value) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let message = format!("{}.{}", part(header), part(&claims.to_string()));
        let signature =
            jsonwebtoken::crypto::sign(message.as_bytes(), &EncodingKey::from_secret(key), Algorithm::HS256).unwrap();
        format!("{message}.{signature}")
    }

    fn claims() -> serde_json::Value {
        serde_json::to_value(Claims {
            iss: ISSUER.to_owned(),
            sub: token(),
            aud: "plimsoll".to_owned(),
            iat: at(0).timestamp(),
            exp: at(60).timestamp(),
            jti: "jwt_1".to_owned(),
        })
        .unwrap()
    }

    const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

    #[test]
    fn it_says_whose_it_is_until_it_ends() {
        let text = made(TimeDelta::minutes(5));
        assert!(is_plausible(&text));
        let claims = verify(&text, 299).unwrap();
        assert_eq!((claims.sub, claims.aud.as_str()), (token(), "plimsoll"));
        assert_eq!(verify(&text, 300), Err(Refused::Expired));
        assert_ne!(made(TimeDelta::minutes(5)), text, "an id of its own");
        let sign = |lasts| Signer::new(&KEY).sign(token(), "plimsoll", lasts, at(0)).map(|_| ());
        for bad in [TimeDelta::zero(), TimeDelta::seconds(-5), LONGEST + TimeDelta::seconds(1)] {
            assert_eq!(sign(bad), Err(Refused::Lifetime));
        }
        assert_eq!(sign(LONGEST), Ok(()));
    }

    #[test]
    fn only_ours_are_taken() {
        assert!(verify(&forged(&KEY, HS256, &claims()), 0).is_ok(), "the forger's own work is good");
        let none = format!(
            "{}.{}.",
            URL_SAFE_NO_PAD.encode(r#"{"alg":"none","typ":"JWT"}"#),
            URL_SAFE_NO_PAD.encode(claims().to_string())
        );
        let mut strange = vec![
            String::new(),
            "a.b.c".to_owned(),
            none,
            forged(&[8; 32], HS256, &claims()),
            forged(&KEY, r#"{"alg":"none"}"#, &claims()),
            forged(&KEY, r#"{"alg":"RS256","typ":"JWT"}"#, &claims()),
            forged(&KEY, r#"{"alg":"HS512","typ":"JWT"}"#, &claims()),
            forged(&KEY, r#"{"typ":"JWT"}"#, &claims()),
            format!("{}x", forged(&KEY, HS256, &claims())),
        ];
        for (name, value) in [
            ("iss", serde_json::json!("somebody")),
            ("aud", serde_json::json!("another")),
            ("aud", serde_json::json!(null)),
            ("sub", serde_json::json!("usr_1")),
            ("exp", serde_json::json!(at(7_200).timestamp())),
            ("exp", serde_json::json!(i64::MAX)),
            ("exp", serde_json::json!("soon")),
            ("exp", serde_json::json!(at(-60).timestamp())),
            ("iat", serde_json::json!(at(120).timestamp())),
            ("iat", serde_json::json!(i64::MIN)),
        ] {
            let mut claims = claims();
            claims[name] = value;
            strange.push(forged(&KEY, HS256, &claims));
        }
        for text in strange {
            assert_eq!(verify(&text, 0), Err(Refused::Strange), "{text}");
        }
        // A key id, or a key of its own, is not looked at.
        let header = r#"{"alg":"HS256","kid":"../../etc/passwd","jwk":{"kty":"oct","k":"AAAA"}}"#;
        assert_eq!(verify(&forged(b"\0\0\0", header, &claims()), 0), Err(Refused::Strange));
    }
}

//! Signatures of webhooks, by the Standard Webhooks scheme (`v1`, HMAC-SHA256).
//!
//! Signed is `<id>.<timestamp>.<body>`, so none of the three can be put beside another one. The id stays the same when a
//! message is sent again: a receiver that remembers ids acts on each message once.

use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Names the message; the same in each attempt.
pub const ID: &str = "webhook-id";
/// Seconds since 1970 at which this attempt was made.
pub const TIMESTAMP: &str = "webhook-timestamp";
/// One or more signatures with spaces between, each `v1,` and Base64.
pub const SIGNATURE: &str = "webhook-signature";

/// How far a timestamp may be from the receiver's clock, in seconds.
pub const TOLERANCE: i64 = 5 * 60;

const PREFIX: &str = "whsec_";
const VERSION: &str = "v1";
/// Bytes of a secret: what the scheme asks for.
const SHORTEST: usize = 24;
const LONGEST: usize = 64;

/// What sender and receiver share: `whsec_` and 24 to 64 bytes in Base64. Wiped when dropped; shown only by [`reveal`].
///
/// [`reveal`]: Secret::reveal
#[derive(Clone)]
pub struct Secret(Zeroizing<Vec<u8>>);

/// The text is no secret of a webhook. It is not repeated here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a webhook secret: expected `{PREFIX}` and {SHORTEST} to {LONGEST} bytes in Base64")]
pub struct InvalidSecret;

impl Secret {
    /// A new one from bytes that nobody can guess.
    pub fn new(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random.to_vec()))
    }

    /// As the receiver is told it.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("{PREFIX}{}", STANDARD.encode(self.0.as_slice())))
    }

    fn mac(&self, id: &str, timestamp: i64, body: &[u8]) -> Hmac<Sha256> {
        let mut mac = match Hmac::<Sha256>::new_from_slice(&self.0) {
            Ok(mac) => mac,
            // HMAC takes a key of any length: a longer one is hashed, a shorter one filled up.
            Err(_) => unreachable!("HMAC takes keys of any length"),
        };
        for part in [id.as_bytes(), b".", timestamp.to_string().as_bytes(), b".", body] {
            mac.update(part);
        }
        mac
    }
}

impl FromStr for Secret {
    type Err = InvalidSecret;

    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or(InvalidSecret)?;
        let bytes = Zeroizing::new(STANDARD.decode(encoded).map_err(|_| InvalidSecret)?);
        if !(SHORTEST..=LONGEST).contains(&bytes.len()) {
            return Err(InvalidSecret);
        }
        Ok(Self(bytes))
    }
}

/// The value of [`SIGNATURE`].
pub fn sign(secret: &Secret, id: &str, timestamp: i64, body: &[u8]) -> String {
    format!("{VERSION},{}", STANDARD.encode(secret.mac(id, timestamp, body).finalize().into_bytes()))
}

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the timestamp is not a number of seconds")]
    Timestamp,
    #[error("the message was sent more than {} minutes before or after the receiver's time", TOLERANCE / 60)]
    Time,
    #[error("none of the signatures was made with this secret for this id, timestamp and body")]
    Signature,
}

/// Whether who knows `secret` has sent just this, at about `now` (seconds since 1970). Takes the same time wherever a
/// signature differs.
pub fn verify(
    secret: &Secret,
    id: &str,
    timestamp: &str,
    signatures: &str,
    body: &[u8],
    now: i64,
) -> Result<(), Refused> {
    let sent: i64 = timestamp.parse().map_err(|_| Refused::Timestamp)?;
    // What is signed is the number; another way to write it would be another message to whoever signed the text.
    if sent.to_string() != timestamp {
        return Err(Refused::Timestamp);
    }
    if sent.abs_diff(now) > TOLERANCE.unsigned_abs() {
        return Err(Refused::Time);
    }
    let is_theirs = |signature: &str| {
        let Some((VERSION, encoded)) = signature.split_once(',') else { return false };
        let Ok(claimed) = STANDARD.decode(encoded) else { return false };
        secret.mac(id, sent, body).verify_slice(&claimed).is_ok()
    };
    if signatures.split(' ').any(is_theirs) { Ok(()) } else { Err(Refused::Signature) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const AT: i64 = 1_614_265_330;
    const BODY: &[u8] = br#"{"test": 2432232314}"#;

    fn secret() -> Secret {
        SECRET.parse().unwrap()
    }

    /// The message that the scheme's own libraries are tested with.
    #[test]
    fn signs_as_others_do() {
        let signature = sign(&secret(), ID, AT, BODY);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(verify(&secret(), ID, &AT.to_string(), &signature, BODY, AT + 299), Ok(()));
        let several = format!("v1a,AAAA v1,AAAA {signature} v2,x");
        assert_eq!(verify(&secret(), ID, &AT.to_string(), &several, BODY, AT - 300), Ok(()));
    }

    #[test]
    fn what_was_changed_is_refused() {
        let signature = sign(&secret(), ID, AT, BODY);
        let at = AT.to_string();
        let check = |id: &str, at: &str, signature: &str, body: &[u8], now: i64| {
            verify(&secret(), id, at, signature, body, now)
        };
        assert_eq!(check("msg_other", &at, &signature, BODY, AT), Err(Refused::Signature));
        assert_eq!(check(ID, &(AT + 1).to_string(), &signature, BODY, AT), Err(Refused::Signature));
        assert_eq!(check(ID, &at, &signature, b"{}", AT), Err(Refused::Signature));
        assert_eq!(check(ID, &at, "", BODY, AT), Err(Refused::Signature));
        assert_eq!(check(ID, &at, &signature[3..], BODY, AT), Err(Refused::Signature));
        assert_eq!(check(ID, &at, &signature, BODY, AT + 301), Err(Refused::Time));
        assert_eq!(check(ID, &at, &signature, BODY, i64::MIN), Err(Refused::Time));
        for bad in ["", "x", "+1614265330", "01614265330", "1614265330 ", "99999999999999999999"] {
            assert_eq!(check(ID, bad, &signature, BODY, AT), Err(Refused::Timestamp), "{bad}");
        }
        let other = Secret::new([7; 32]);
        assert_eq!(verify(&other, ID, &at, &signature, BODY, AT), Err(Refused::Signature));
        // A dot in the id doesn't move the border between id and timestamp.
        let moved = sign(&secret(), &format!("{ID}.{AT}"), AT, BODY);
        assert_eq!(check(ID, &at, &moved, BODY, AT), Err(Refused::Signature));
    }

    #[test]
    fn secrets_are_read_as_they_are_shown() {
        let shown = Secret::new([42; 32]).reveal();
        assert_eq!(shown.parse::<Secret>().unwrap().reveal(), shown);
        let long = format!("whsec_{}", STANDARD.encode([1; 65]));
        for bad in ["", "whsec_", "whsec_c2hvcnQ=", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!!!!", long.as_str()] {
            assert!(bad.parse::<Secret>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn only_what_was_signed_is_believed(
            key in any::<[u8; 32]>(), id in "[a-z0-9_.]{1,30}", at in 0..4_000_000_000_i64,
            body in proptest::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>()
        ) {
            let secret = Secret::new(key);
            let signature = sign(&secret, &id, at, &body);
            prop_assert_eq!(verify(&secret, &id, &at.to_string(), &signature, &body, at), Ok(()));
            let mut other = body.clone();
            other.push(b' ');
            if !body.is_empty() {
                let n = flip.index(body.len());
                other.truncate(body.len());
                other[n] ^= 1;
            }
            prop_assert_eq!(verify(&secret, &id, &at.to_string(), &signature, &other, at), Err(Refused::Signature));
        }

        #[test]
        fn rubbish_is_refused_without_a_panic(id in ".*", at in ".*", signatures in ".*", body in ".*", now in any::<i64>()) {
            prop_assert!(verify(&secret(), &id, &at, &signatures, body.as_bytes(), now).is_err());
        }
    }
}

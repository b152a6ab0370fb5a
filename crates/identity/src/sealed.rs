//! Tickets: what we hand out and take back, so that nothing need be kept meanwhile. Who holds one can neither read nor change it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const NONCE: usize = 24;
/// Ours are some hundred bytes; more is not worth a look.
const LONGEST: usize = 8 * 1024;

/// Seals and opens tickets: XChaCha20-Poly1305 with random nonces, as URL-safe base64.
pub struct Sealer {
    key: Zeroizing<[u8; 32]>,
}

/// Why a ticket is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unsealed {
    #[error("it is over")]
    Over,
    /// Damaged, made for something else, or under another key; also what this version can't read.
    #[error("it does not open")]
    Strange,
}

#[derive(Serialize, Deserialize)]
struct Content<T> {
    /// Microseconds since 1970.
    until: i64,
    value: T,
}

impl Sealer {
    pub fn new(key: Zeroizing<[u8; 32]>) -> Self {
        Self { key }
    }

    /// A ticket that opens until then, for the same `purpose` alone.
    ///
    /// # Errors
    /// `Strange` when the value has no JSON form.
    pub fn seal<T: Serialize>(&self, purpose: &str, value: &T, until: DateTime<Utc>) -> Result<String, Unsealed> {
        let content = Content { until: until.timestamp_micros(), value };
        let plain = Zeroizing::new(serde_json::to_vec(&content).map_err(|_| Unsealed::Strange)?);
        let nonce = rand::random::<[u8; NONCE]>();
        let payload = Payload { msg: &plain, aad: purpose.as_bytes() };
        let text = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| Unsealed::Strange)?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &text].concat()))
    }

    /// # Errors
    /// [`Unsealed`].
    pub fn open<T: DeserializeOwned>(&self, purpose: &str, ticket: &str, now: DateTime<Utc>) -> Result<T, Unsealed> {
        if ticket.len() > LONGEST {
            return Err(Unsealed::Strange);
        }
        let bytes = URL_SAFE_NO_PAD.decode(ticket).map_err(|_| Unsealed::Strange)?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE>().ok_or(Unsealed::Strange)?;
        let payload = Payload { msg: text, aad: purpose.as_bytes() };
        let plain = self.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| Unsealed::Strange)?;
        let content: Content<T> = serde_json::from_slice(&Zeroizing::new(plain)).map_err(|_| Unsealed::Strange)?;
        if content.until <= now.timestamp_micros() { Err(Unsealed::Over) } else { Ok(content.value) }
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.key))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(second)
    }

    #[test]
    fn a_ticket_opens_in_time_and_for_its_purpose() {
        let sealer = Sealer::new(Zeroizing::new([7; 32]));
        let ticket = sealer.seal("second factor", &("usr_1", 3), at(300)).unwrap();
        assert!(ticket.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_')));
        let open = |purpose: &str, ticket: &str, now| sealer.open::<(String, u8)>(purpose, ticket, now);
        assert_eq!(open("second factor", &ticket, at(299)).unwrap(), ("usr_1".to_owned(), 3));
        assert_eq!(open("second factor", &ticket, at(300)), Err(Unsealed::Over));
        assert_eq!(open("oidc", &ticket, at(0)), Err(Unsealed::Strange));
        assert!(sealer.open::<Vec<String>>("second factor", &ticket, at(0)).is_err());
        let other = Sealer::new(Zeroizing::new([8; 32]));
        assert_eq!(other.open::<(String, u8)>("second factor", &ticket, at(0)), Err(Unsealed::Strange));
        assert_ne!(sealer.seal("second factor", &("usr_1", 3), at(300)).unwrap(), ticket, "a nonce of its own");
    }

    #[test]
    fn no_character_can_be_changed() {
        let sealer = Sealer::new(Zeroizing::new([7; 32]));
        let ticket = sealer.seal("p", &"secret", at(300)).unwrap();
        for n in 0..ticket.len() {
            let other = if &ticket[n..=n] == "A" { "B" } else { "A" };
            let changed = format!("{}{other}{}", &ticket[..n], &ticket[n + 1..]);
            assert_eq!(sealer.open::<String>("p", &changed, at(0)), Err(Unsealed::Strange), "{n}");
        }
        for bad in ["", "short", &"A".repeat(100), &"A".repeat(100_000), "ä", &format!("{ticket}=")] {
            assert_eq!(sealer.open::<String>("p", bad, at(0)), Err(Unsealed::Strange));
        }
    }
}

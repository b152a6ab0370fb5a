//! Secrets that stand for a person: the cookie of a session, the link of an invitation. 256 random bits each.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::SecretString;

use crate::digest;

const CHARACTERS: usize = 43;

/// What a secret is for. One for the other is never taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Session,
    Invitation,
    /// What a program that wants to act for a person polls with.
    Device,
}

impl Kind {
    /// A new secret, and its hash, which is all that is kept.
    pub fn make(self) -> (SecretString, String) {
        let text = format!("{}{}", self.prefix(), URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()));
        let hash = digest::of(&text);
        (SecretString::from(text), hash)
    }

    /// The hash of a secret that somebody sent; `None` when it can't be one.
    pub fn hash(self, sent: &str) -> Option<String> {
        let rest = sent.strip_prefix(self.prefix())?;
        let plausible =
            rest.len() == CHARACTERS && rest.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
        plausible.then(|| digest::of(sent))
    }

    /// Also keeps their hashes apart.
    fn prefix(self) -> &'static str {
        match self {
            Self::Session => "",
            Self::Invitation => "inv_",
            Self::Device => "dev_",
        }
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    #[test]
    fn a_secret_is_found_by_its_hash_and_taken_for_nothing_else() {
        for kind in [Kind::Session, Kind::Invitation, Kind::Device] {
            let (secret, hash) = kind.make();
            let text = secret.expose_secret();
            assert_eq!(text.len(), kind.prefix().len() + CHARACTERS);
            assert_eq!(kind.hash(text), Some(hash.clone()));
            assert_ne!(kind.make().1, hash);
            for other in [Kind::Session, Kind::Invitation, Kind::Device].into_iter().filter(|other| *other != kind) {
                assert_eq!(other.hash(text), None, "{kind:?} for {other:?}");
            }
            for bad in ["", &text[1..], &format!("{text}a"), &format!("{text} "), &text.replace(&text[8..9], "%")] {
                assert_eq!(kind.hash(bad), None, "{bad}");
            }
        }
    }
}

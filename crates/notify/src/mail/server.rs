//! The operator's mail server.

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// How the way to the server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Encryption {
    /// From the first byte; usually port 465.
    Tls,
    /// Begun by STARTTLS, and never left out; usually port 587.
    Starttls,
    /// None at all: only in a network that the operator allows, without a password.
    None,
}

/// Where mail is handed in.
pub struct MailServer {
    pub host: String,
    pub port: u16,
    pub encryption: Encryption,
    /// Who it is from: `plimsoll@example.org` or `Plimsoll <plimsoll@example.org>`.
    pub from: String,
    pub login: Option<Login>,
}

/// Who the server takes mail from.
pub struct Login {
    pub user: String,
    pub password: SecretString,
}

/// It can't be used to send mail.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidMail(String);

impl InvalidMail {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }
}

impl MailServer {
    /// Whether mail could be handed to it, as far as that can be known without asking it.
    pub fn check(&self) -> Result<(), InvalidMail> {
        super::mailbox(&self.from)?;
        if self.encryption == Encryption::None && self.login.is_some() {
            return Err(InvalidMail::new("a password is not sent without encryption: choose `tls` or `starttls`"));
        }
        if self.host.trim().is_empty() {
            return Err(InvalidMail::new("the mail server has no host"));
        }
        Ok(())
    }
}

//! The mail server, as it is kept among the settings of the server: its password sealed.

use domain::channel::Encryption;
use notify::{Login, MailServer};
use operations::mail::NewMailServer;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::settings;

use crate::Control;
use crate::vault::{Vault, VaultError};

/// What the data key is bound to, and what it seals.
const OWNER: &str = "mail server";
const PURPOSE: &str = "mail password";

/// A mail server in the settings.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct StoredMail {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) encryption: Encryption,
    pub(crate) from: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) user: Option<String>,
    /// Its data key, wrapped, and the password under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    password: Option<(Vec<u8>, Vec<u8>)>,
}

pub(crate) fn seal_mail(vault: &Vault, server: NewMailServer) -> Result<StoredMail, VaultError> {
    let sealed = |password: &SecretString| -> Result<(Vec<u8>, Vec<u8>), VaultError> {
        let (key, wrapped) = vault.new_data_key(OWNER)?;
        Ok((wrapped, key.seal(PURPOSE, password.expose_secret().as_bytes())?))
    };
    let password = server.password.as_ref().map(|password| sealed(&password.0)).transpose()?;
    let NewMailServer { host, port, encryption, from, user, .. } = server;
    Ok(StoredMail { host, port, encryption, from, user, password })
}

impl StoredMail {
    /// The same with its data key under the key in use; `None` when it is already, or there is no password.
    pub(crate) fn rewrap(&self, vault: &Vault) -> Result<Option<Self>, VaultError> {
        let Some((wrapped, sealed)) = &self.password else { return Ok(None) };
        let anew = vault.rewrap(OWNER, wrapped)?;
        Ok(anew.map(|anew| Self { password: Some((anew, sealed.clone())), ..self.clone() }))
    }
}

/// For one attempt.
pub(crate) fn open_mail(vault: &Vault, stored: StoredMail) -> Result<MailServer, VaultError> {
    let password = stored.password.as_ref().map(|(wrapped, sealed)| -> Result<_, VaultError> {
        let plain = vault.unwrap(OWNER, wrapped)?.open(PURPOSE, sealed)?;
        let text = std::str::from_utf8(&plain).map_err(|_| VaultError::Sealed)?;
        Ok(SecretString::from(text))
    });
    let login = stored.user.zip(password.transpose()?).map(|(user, password)| Login { user, password });
    let encryption = match stored.encryption {
        Encryption::Tls => notify::Encryption::Tls,
        Encryption::Starttls => notify::Encryption::Starttls,
        Encryption::None => notify::Encryption::None,
    };
    Ok(MailServer { host: stored.host, port: stored.port, encryption, from: stored.from, login })
}

/// The one that is known; why there is none, for people.
pub(super) async fn server(control: &Control) -> Result<MailServer, String> {
    let found = settings::find::<StoredMail>(control.store(), None, settings::MAIL).await;
    let stored = found.map_err(|e| format!("the mail server can't be read: {e}"))?;
    let stored = stored.ok_or("no mail server is known: name one with `plimsoll mail set`")?;
    open_mail(&control.world().vault, stored).map_err(|e| e.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_kept_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("k"), true).unwrap();
        let new = NewMailServer {
            host: "mail.example.org".into(),
            port: 465,
            encryption: Encryption::Tls,
            from: "plimsoll@example.org".into(),
            user: Some("plimsoll".into()),
            password: Some("hunter2".to_owned().into()),
        };
        let stored = seal_mail(&vault, new).unwrap();
        let text = serde_json::to_string(&stored).unwrap();
        assert!(!text.contains("hunter2") && text.contains("mail.example.org"), "{text}");
        let server = open_mail(&vault, serde_json::from_str(&text).unwrap()).unwrap();
        assert_eq!(server.login.unwrap().password.expose_secret(), "hunter2");
        let other = Vault::open(&dir.path().join("other"), true).unwrap();
        assert!(open_mail(&other, stored).is_err());
    }
}

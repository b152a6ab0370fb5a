//! From a channel to the way to its receiver. What is secret of it is opened here, for one attempt.

use domain::channel::ChannelKind;
use domain::redact::Redactor;
use notify::{Driver, Slack, Webhook};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use store::channels::Channel;
use zeroize::Zeroizing;

use super::mail;
use crate::Control;
use crate::vault::{Vault, VaultError};

/// What the sealed bytes of a channel are for.
const PURPOSE: &str = "channel";

/// What of a channel nobody is shown.
#[derive(Clone, Default)]
pub(crate) struct Secrets {
    /// Of Slack and of a webhook: the whole address.
    pub(crate) url: Option<SecretString>,
    /// Of a webhook: what it is signed with.
    pub(crate) secret: Option<SecretString>,
}

/// As it is sealed.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Plain<'a> {
    url: Option<std::borrow::Cow<'a, str>>,
    secret: Option<std::borrow::Cow<'a, str>>,
}

/// The channel's data key, wrapped, and what it seals.
pub(crate) fn seal(vault: &Vault, channel: &str, secrets: &Secrets) -> Result<(Vec<u8>, Vec<u8>), VaultError> {
    let (key, wrapped) = vault.new_data_key(channel)?;
    let shown = |secret: &'_ Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
    let (url, secret) = (shown(&secrets.url).map(Zeroizing::new), shown(&secrets.secret).map(Zeroizing::new));
    let plain = Plain {
        url: url.as_ref().map(|url| url.as_str().into()),
        secret: secret.as_ref().map(|secret| secret.as_str().into()),
    };
    // Two texts: they can be written as JSON.
    let plain = Zeroizing::new(serde_json::to_vec(&plain).map_err(|_| VaultError::Sealed)?);
    Ok((wrapped, key.seal(PURPOSE, &plain)?))
}

impl Secrets {
    pub(crate) fn open(vault: &Vault, channel: &Channel) -> Result<Self, VaultError> {
        let plain = vault.unwrap(channel.id.as_str(), &channel.wrapped)?.open(PURPOSE, &channel.sealed)?;
        let plain: Plain<'_> = serde_json::from_slice(&plain).map_err(|_| VaultError::Sealed)?;
        let kept = |text: Option<std::borrow::Cow<'_, str>>| text.map(|text| SecretString::from(text.into_owned()));
        Ok(Self { url: kept(plain.url), secret: kept(plain.secret) })
    }

    /// Takes them out of what a receiver says: it may repeat the address that it was called at.
    fn redactor(&self) -> Redactor {
        let shown = |secret: &'_ Option<SecretString>| secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        let (url, secret) = (shown(&self.url), shown(&self.secret));
        let mut parts: Vec<String> = url.iter().chain(&secret).cloned().collect();
        if let Some(url) = &url {
            let path = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            let path = path.find(['/', '?']).map_or("", |at| &path[at..]);
            parts.push(path.to_owned());
            parts.push(path.trim_start_matches('/').to_owned());
            parts.extend(path.split(['/', '?', '&', '=']).filter(|part| part.len() >= LONG).map(str::to_owned));
        }
        Redactor::new(parts.iter().map(String::as_str))
    }
}

/// A part of an address from so many characters on may be a token; shorter ones are words.
const LONG: usize = 12;

/// A way to a receiver, and what is taken out of its words.
pub(super) struct Way {
    pub(super) driver: Box<dyn Driver>,
    pub(super) redactor: Redactor,
}

/// Why there is no way, for people.
pub(super) async fn way(control: &Control, channel: &Channel) -> Result<Way, String> {
    let outgoing = control.outgoing().await.map_err(|e| e.to_string())?;
    let secrets = Secrets::open(&control.world().vault, channel).map_err(|e| e.to_string())?;
    let missing = || "the channel lacks its address: give it anew with `plimsoll channels update`".to_owned();
    let redactor = secrets.redactor();
    let driver: Box<dyn Driver> = match channel.kind {
        ChannelKind::Slack => {
            let url = secrets.url.as_ref().ok_or_else(missing)?;
            Box::new(Slack::new(outgoing, url).map_err(|e| e.to_string())?)
        }
        ChannelKind::Webhook => {
            let url = secrets.url.as_ref().ok_or_else(missing)?;
            let secret = secrets.secret.as_ref().ok_or_else(missing)?;
            let address: outgoing::Address =
                url.expose_secret().parse().map_err(|e: outgoing::OutgoingError| e.to_string())?;
            let secret: domain::webhook::Secret =
                secret.expose_secret().parse().map_err(|e: domain::webhook::InvalidSecret| e.to_string())?;
            Box::new(Webhook { outgoing, address, secret })
        }
        ChannelKind::Mail => {
            let server = mail::server(control).await?;
            Box::new(notify::Mail::new(outgoing, server, &channel.settings.to).map_err(|e| e.to_string())?)
        }
    };
    Ok(Way { driver, redactor })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        Secrets {
            url: Some("https://hooks.example.org/services/T0/B0/hunter2parrot?key=walnutharbour".into()),
            secret: Some("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into()),
        }
    }

    #[test]
    fn secrets_open_for_their_channel_alone() {
        let dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&dir.path().join("k"), true).unwrap();
        let (wrapped, sealed) = seal(&vault, "chn_1", &secrets()).unwrap();
        assert!(!sealed.windows(7).any(|w| w == b"hunter2"));
        assert!(vault.unwrap("chn_2", &wrapped).is_err());
        let plain = vault.unwrap("chn_1", &wrapped).unwrap().open(PURPOSE, &sealed).unwrap();
        assert!(std::str::from_utf8(&plain).unwrap().contains("hunter2parrot"));
    }

    #[test]
    fn what_a_receiver_repeats_of_a_secret_is_masked() {
        let redactor = secrets().redactor();
        for said in [
            "The requested URL /services/T0/B0/hunter2parrot?key=walnutharbour was not found",
            "no such hook: hunter2parrot",
            "bad key walnutharbour",
            "https://hooks.example.org/services/T0/B0/hunter2parrot?key=walnutharbour",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            let clean = redactor.clean(said);
            assert!(!clean.contains("hunter2") && !clean.contains("walnut") && !clean.contains("MfKQ"), "{clean}");
        }
        assert_eq!(redactor.clean("services are down"), "services are down");
        // What is kept of a long answer may end inside of one.
        assert_eq!(redactor.clean_cut("no such hook: hunter2par…"), "no such hook: [secret]…");
        assert_eq!(redactor.clean_cut("no such hook: hunter2parrot"), "no such hook: [secret]");
        assert_eq!(redactor.clean_cut("no such hook…"), "no such hook…");
    }
}

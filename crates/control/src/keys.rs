//! Another key in the key file, and all that is in the database under it: `plimsoll keys rotate`.
//!
//! The file comes first, with the new key in front of the others. Then one transaction moves what the database holds: of what is
//! sealed with data keys these alone, which is what they are for. Killed in between, the file still opens everything, but no
//! server starts on it, as the database knows another fingerprint; the next call goes on from there, and makes no third key.
//!
//! No server may work meanwhile: it would go on with the key that it has read. One of this folder holds the folder's lock. One of
//! another host leads, or its heart beats; one that starts after the transaction is refused by the fingerprint.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::time::Duration;

use domain::ServerId;
use operations::{Error, ErrorKind};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::json;
use store::channels::Channel;
use store::{Candidate, Kind, Store, Tx, settings};

use crate::audit;
use crate::cluster::{lock_folder, tell_time};
use crate::control::existing;
use crate::error::{io_error, store_error};
use crate::layout::Layout;
use crate::notices::StoredMail;
use crate::sign_in::oidc::Kept;
use crate::vault::{Vault, VaultError};

/// What is added to the lease of a server before its heart counts as still.
const MARGIN: Duration = Duration::from_secs(1);

/// Where to rotate the keys.
#[derive(Debug, Clone)]
pub struct RotateOptions {
    /// The data folder.
    pub data: PathBuf,
    /// `postgres://…`; SQLite in the data folder when absent.
    pub database: Option<SecretString>,
}

/// What was done.
#[derive(Debug, Clone, Serialize)]
pub struct Rotated {
    /// The key file.
    pub file: PathBuf,
    /// A rotation that was stopped half-way was ended; no further key was made.
    pub resumed: bool,
    /// Data keys that were wrapped anew.
    pub data_keys: u64,
    /// Secrets without a data key that were sealed anew: second factors, and this server's own at the sign-in provider.
    pub secrets: u64,
    /// Keys that are in the file now.
    pub keys: usize,
    /// Other hosts of the database, which need a copy of the file.
    pub hosts: Vec<String>,
}

/// Puts a new key into use.
///
/// # Errors
/// `Conflict` while a server lives, `NotFound` without a data folder or database, `Unavailable` when something in the database
/// does not open with the key file: then nothing was changed.
pub async fn rotate(options: RotateOptions) -> Result<Rotated, Error> {
    crate::backup::refuse_incomplete(&options.data)?;
    let (layout, database) = existing(&options.data, options.database.as_ref())?;
    let _alone = lock_folder(&layout, Kind::Sqlite).map_err(|error| match error.code {
        ErrorKind::Conflict => living(format!("a server works on {}", layout.data().display())),
        _ => error,
    })?;
    let store = Store::open(&database).await.map_err(store_error)?;
    let rotated = rotate_in(&layout, &store).await;
    store.close().await;
    rotated
}

async fn rotate_in(layout: &Layout, store: &Store) -> Result<Rotated, Error> {
    tell_time(store).await.map_err(store_error)?;
    if !store::tokens::any(store).await.map_err(store_error)? {
        return Err(Error::not_found("no server has worked with this database yet")
            .hint("if the server uses PostgreSQL, give its address with --database-url-file"));
    }
    let path = layout.key();
    let vault = Vault::open(&path, false).map_err(unusable)?;
    // Two rotations on two hosts exclude each other by it, too.
    let leads = Candidate::default().lead(store, "plimsoll keys rotate").await.map_err(store_error)?;
    let leadership = leads.ok_or_else(|| living("a server of this database leads".to_owned()))?;
    let gone = those_gone(store).await?;

    let tx = write_alone(store, &gone).await?;
    let found = move_all(&tx, &vault).await?;
    let (tx, vault, moved, resumed) = if found.is_any() {
        (tx, vault, found, true)
    } else {
        drop(tx);
        let vault = vault.renew(&path).map_err(unusable)?;
        let tx = write_alone(store, &gone).await?;
        let moved = move_all(&tx, &vault).await?;
        (tx, vault, moved, false)
    };
    let keys = audit::keys(&vault);
    let detail = json!({ "data_keys": moved.data_keys, "secrets": moved.secrets, "resumed": resumed });
    // Named by what tells it from others, and nothing else of it.
    let name = keys.first().map_or("", |key| key.id());
    audit::record_offline(&tx, &keys, "keys.rotate", name, detail).await?;
    let hosts = store::hosts::list(&tx).await.map_err(store_error)?;
    tx.commit().await.map_err(store_error)?;
    leadership.step_down().await;

    let own = own_folder(&layout.host())?;
    let others = hosts.into_iter().filter(|host| Some(&host.folder_id) != own.as_ref());
    Ok(Rotated {
        file: path,
        resumed,
        data_keys: moved.data_keys,
        secrets: moved.secrets,
        keys: vault.keys(),
        hosts: others.map(|host| host.name).collect(),
    })
}

/// Servers that are known not to work any more, though the database still has them.
async fn those_gone(store: &Store) -> Result<Vec<ServerId>, Error> {
    let before = store::servers::list(store).await.map_err(store_error)?;
    let longest = before.iter().map(|server| server.lease).max();
    // With SQLite the folder's lock says it all.
    if let (Kind::Postgres, Some(longest)) = (store.kind(), longest) {
        tokio::time::sleep(longest + MARGIN).await;
        let now = store::servers::list(store).await.map_err(store_error)?;
        if let Some(server) = now.iter().find(|server| !before.contains(server)) {
            return Err(living(format!("the server {} of the host `{}` lives", server.id, server.host)));
        }
        for server in &before {
            store.end_session(&server.session).await.map_err(store_error)?;
        }
    }
    Ok(before.into_iter().map(|server| server.id).collect())
}

/// A write, if no server has come meanwhile. One that comes later sees what was written.
async fn write_alone(store: &Store, gone: &[ServerId]) -> Result<Tx, Error> {
    let tx = store.write().await.map_err(store_error)?;
    let servers = store::servers::list(&tx).await.map_err(store_error)?;
    match servers.iter().find(|server| !gone.contains(&server.id)) {
        Some(server) => Err(living(format!("the server {} of the host `{}` was started", server.id, server.host))),
        None => Ok(tx),
    }
}

/// What was not under the key in use.
#[derive(Debug, Default)]
struct Moved {
    data_keys: u64,
    secrets: u64,
    /// What hosts or the audit log know of the key.
    known: bool,
}

impl Moved {
    fn is_any(&self) -> bool {
        self.data_keys > 0 || self.secrets > 0 || self.known
    }
}

/// Puts everything under the key in use that is not. The record that is to follow signs the audit log's head.
async fn move_all(tx: &Tx, vault: &Vault) -> Result<Moved, Error> {
    let mut moved = Moved { known: move_hosts(tx, vault).await?, ..Moved::default() };
    for (environment, wrapped) in store::data_keys::list(tx).await.map_err(store_error)? {
        let anew = vault.rewrap(environment.as_str(), &wrapped);
        if let Some(anew) = anew.map_err(|e| shut("the variables of the environment", &environment, &e))? {
            store::data_keys::set(tx, &environment, &anew).await.map_err(store_error)?;
            moved.data_keys += 1;
        }
    }
    for certificate in store::certificates::list(tx).await.map_err(store_error)? {
        let anew = vault.rewrap(certificate.id.as_str(), &certificate.wrapped);
        if let Some(anew) = anew.map_err(|e| shut("the private key of the certificate", &certificate.id, &e))? {
            store::certificates::rewrap(tx, &certificate.id, &anew).await.map_err(store_error)?;
            moved.data_keys += 1;
        }
    }
    for channel in store::channels::list(tx).await.map_err(store_error)? {
        let anew = vault.rewrap(channel.id.as_str(), &channel.wrapped);
        if let Some(wrapped) = anew.map_err(|e| shut("the address of the channel", &channel.id, &e))? {
            store::channels::update(tx, &Channel { wrapped, ..channel }).await.map_err(store_error)?;
            moved.data_keys += 1;
        }
    }
    if let Some(mail) = settings::find::<StoredMail>(tx, None, settings::MAIL).await.map_err(store_error)?
        && let Some(anew) = mail.rewrap(vault).map_err(|e| shut("the password of the mail server", &mail.host, &e))?
    {
        settings::set(tx, None, settings::MAIL, Some(&anew)).await.map_err(store_error)?;
        moved.data_keys += 1;
    }
    if let Some(kept) = Kept::find(tx).await?
        && let Some(anew) =
            kept.reseal(vault).map_err(|e| shut("the secret at the sign-in provider", &kept.name, &e))?
    {
        Kept::set(tx, Some(&anew)).await?;
        moved.secrets += 1;
    }
    let keys = vault.second_factor_keys();
    for factor in store::totp::list(tx).await.map_err(store_error)? {
        let anew = keys.reseal(factor.user.as_str(), &factor.sealed);
        if let Some(anew) = anew.map_err(|e| shut("the second factor of", &factor.user, &e))? {
            store::totp::reseal(tx, &factor.user, &anew).await.map_err(store_error)?;
            moved.secrets += 1;
        }
    }
    // One that can't be read, or that nobody of ours has signed, is for `audit verify` to tell.
    if let Ok(Some(head)) = store::audit::head(tx).await {
        moved.known |= audit::keys(vault).iter().skip(1).any(|key| head.is_vouched_for(key));
    }
    Ok(moved)
}

/// Has the hosts known by the key in use; `false` when they are.
async fn move_hosts(tx: &Tx, vault: &Vault) -> Result<bool, Error> {
    let hosts = store::hosts::list(tx).await.map_err(store_error)?;
    let (current, ours) = (vault.fingerprint(), vault.fingerprints());
    if let Some(host) = hosts.iter().find(|host| !ours.contains(&host.key_fingerprint)) {
        return Err(Error::conflict(format!(
            "the key file is not the one that the host `{}` was last used with",
            host.name
        ))
        .hint("put that key file back, or copy it from a host where it is: nothing was changed"));
    }
    if hosts.iter().all(|host| host.key_fingerprint == current) {
        return Ok(false);
    }
    store::hosts::set_key(tx, &current).await.map_err(store_error)?;
    Ok(true)
}

/// What the folder is called among hosts; `None` when no server has started with it.
fn own_folder(path: &Path) -> Result<Option<String>, Error> {
    match std::fs::read_to_string(path) {
        Ok(id) => Ok(Some(id.trim().to_owned())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(io_error("read", path, &e)),
    }
}

fn living(who: String) -> Error {
    Error::conflict(format!("{who}, and would go on with the key that it has read"))
        .hint("stop all servers first; apps serve on")
}

fn unusable(error: VaultError) -> Error {
    Error::unavailable(error.to_string())
}

fn shut(what: &str, which: &dyn Display, error: &VaultError) -> Error {
    Error::unavailable(format!("{what} {which}: {error}")).hint(
        "nothing in the database was changed: put the key file back that it was sealed with, or start the server and remove or set \
         anew what is named here, then run this again",
    )
}

#[cfg(test)]
mod tests;

//! What a backup says of itself.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use operations::Error;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use super::secrets::{Lock, Secrets};

pub(super) const ENTRY: &str = "manifest.json";
/// Of the layout; the rows have their migrations.
pub(super) const FORMAT: u32 = 1;

/// The first entry of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    /// Version of the Plimsoll that wrote it.
    pub version: String,
    /// When the rows were read.
    pub taken_at: DateTime<Utc>,
    /// Folder that it was taken of: what builds have left in releases may name it.
    pub data: PathBuf,
    /// `sqlite` or `postgres`.
    pub database: String,
    /// That made the tables, oldest first.
    pub migrations: Vec<String>,
    /// Rows by table.
    pub tables: BTreeMap<String, u64>,
    pub releases: Vec<ReleaseFiles>,
    /// What serves on other hosts of the database.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Elsewhere>,
    /// How the secrets are sealed; absent when they were left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lock: Option<Lock>,
    /// Tells whether a key file is the one that the rows were sealed with.
    pub(super) key_digest: String,
    /// Files that could not be taken along: sockets and pipes that a build left in a release.
    #[serde(default)]
    pub skipped: Vec<PathBuf>,
}

/// The files of one release, or of several that share them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseFiles {
    /// Id of the app.
    pub app: String,
    pub digest: String,
    /// It serves somewhere, be it on another host.
    pub active: bool,
    /// Its files are in the backup; those of a release that nothing serves on this host may have gone, or never been here.
    pub kept: bool,
}

/// An environment that serves on another host: its rows are in the backup, its files are in those of that host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elsewhere {
    pub app: String,
    pub environment: String,
    pub host: String,
    /// This folder has the same files, so that they are in the backup all the same.
    pub kept: bool,
}

impl Manifest {
    /// Whether key file and certificates are in it.
    pub fn has_secrets(&self) -> bool {
        self.lock.is_some()
    }

    pub(super) fn open_secrets(&self, sealed: Option<&[u8]>, passphrase: &SecretString) -> Result<Secrets, Error> {
        match (&self.lock, sealed) {
            (Some(lock), Some(sealed)) => lock.open(passphrase, sealed),
            _ => Err(Error::invalid("this backup has no key file in it, so there is nothing that a passphrase opens")
                .hint("leave the passphrase out, and give the key file itself")),
        }
    }
}

//! A look at a data folder and its database from outside of the server, which changes nothing: for `plimsoll doctor`.

use std::path::Path;

use chrono::{DateTime, Utc};
use operations::Error;
use secrecy::SecretString;

use crate::error::store_error;
use crate::layout::Layout;
use crate::vault::Vault;

/// What can be told of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey(store::transfer::Survey);

impl std::ops::Deref for Survey {
    type Target = store::transfer::Survey;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl Survey {
    pub fn is_postgres(&self) -> bool {
        self.0.kind == store::Kind::Postgres
    }

    /// Of the newest event.
    pub fn last_event(&self) -> Option<DateTime<Utc>> {
        self.0.last_event
    }
}

/// `None` when there is no folder, or no database in it.
pub async fn database(data: &Path, url: Option<&SecretString>) -> Option<Result<Survey, Error>> {
    let layout = Layout::at(data).ok()?;
    let found = match crate::control::database_url(url, &layout) {
        Ok(found) => found,
        Err(e) => return Some(Err(e)),
    };
    if found.path().is_some_and(|path| !path.exists()) {
        return None;
    }
    Some(store::transfer::survey(&found).await.map(Survey).map_err(store_error))
}

/// Whether the key file can be used; why not. `None` when there is none.
pub fn key_file(data: &Path) -> Option<Result<(), String>> {
    let path = Layout::at(data).ok()?.key();
    path.exists().then(|| Vault::open(&path, false).map(drop).map_err(|e| e.to_string()))
}

/// A restore into the folder was begun and did not end.
pub fn is_half_restored(data: &Path) -> bool {
    data.join(crate::backup::INCOMPLETE).exists()
}

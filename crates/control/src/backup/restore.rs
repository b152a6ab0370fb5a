//! Making a data folder of a backup.

use std::fs::{self, File, TryLockError};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use chrono::Utc;
use domain::event::EventKind;
use operations::Error;
use secrecy::SecretString;
use serde::Serialize;
use store::transfer::{Import, Row, TABLES};
use store::{DatabaseUrl, Store};
use zeroize::Zeroizing;

use super::archive::{self, sync_folder};
use super::secrets::{self, Secrets};
use super::unpack::Unpack;
use super::{INCOMPLETE, Manifest, blocking, damaged, file_error};
use crate::error::store_error;
use crate::layout::{Layout, remove_dir};
use crate::vault::Vault;

/// Rows that are written at once.
const BATCH: usize = 500;
/// Below the new folder, while it is being filled.
const WORK: &str = ".restore";

/// What to restore, and where to.
#[derive(Debug, Clone)]
pub struct RestoreOptions {
    pub file: PathBuf,
    /// The new data folder: missing, empty, or left half-filled by a restore.
    pub data: PathBuf,
    /// `postgres://…` of an empty database; SQLite in the data folder when absent.
    pub database: Option<SecretString>,
    pub key: RestoreKey,
}

/// Where the key file comes from.
#[derive(Debug, Clone)]
pub enum RestoreKey {
    /// Out of the backup, opened with this passphrase.
    Passphrase(SecretString),
    /// It was kept elsewhere, and is this file.
    File(PathBuf),
}

/// What was restored.
#[derive(Debug, Clone, Serialize)]
pub struct Restored {
    pub data: PathBuf,
    pub manifest: Manifest,
    /// The folder has another path than before: what builds have left in releases may name the old one.
    pub moved: bool,
}

/// Reads the whole backup first, then fills the folder. A start of the server brings back what was active.
///
/// # Errors
/// `Conflict` when the folder or the database is not empty; `Unprocessable` when the backup is damaged or of a newer
/// version; `Invalid` when passphrase or key file are wrong. After an error the folder is as it was; if this process is
/// killed, it bears a mark, and another restore starts over.
pub async fn restore(options: RestoreOptions) -> Result<Restored, Error> {
    let first = options.clone();
    let (manifest, secrets) = blocking(move || examine(&first)).await?;
    let target = options.clone();
    let folder = blocking(move || Folder::take(&target.data)).await?;
    let layout = folder.layout.clone();
    let database = crate::control::database_url(options.database.as_ref(), &layout)?;
    let (file, to) = (options.file.clone(), layout.clone());
    blocking(move || unpack(&file, &to, &secrets)).await?;
    fill_database(&database, &layout, &manifest, &options.file).await?;
    let data = layout.data().to_owned();
    blocking(move || folder.finish()).await?;
    Ok(Restored { moved: data != manifest.data, data, manifest })
}

/// The manifest of an undamaged backup, and the key that fits it.
fn examine(options: &RestoreOptions) -> Result<(Manifest, Secrets), Error> {
    let mut sealed = None;
    let manifest = archive::read(&options.file, |_, entry, content| {
        if entry.path == secrets::ENTRY {
            sealed = Some(secrets::read(content)?);
        }
        archive::drain(content)
    })?;
    let secrets = match &options.key {
        RestoreKey::Passphrase(passphrase) => manifest.open_secrets(sealed.as_deref(), passphrase)?,
        RestoreKey::File(path) => {
            let key = fs::read_to_string(path).map(Zeroizing::new).map_err(|e| file_error("read", path, &e))?;
            Secrets { key, files: Default::default() }
        }
    };
    let vault = Vault::from_text(&secrets.key, &options.file).map_err(|e| Error::invalid(e.to_string()))?;
    if !vault.opens_backup(&manifest.key_digest) {
        return Err(Error::invalid("this key file is not the one that the backup's variables are sealed with")
            .hint("give the `master.key` of the folder that the backup was taken of, with all of its lines"));
    }
    Ok((manifest, secrets))
}

/// The data folder, marked and locked. Dropped before its end it is as empty as it was.
struct Folder {
    layout: Layout,
    existed: bool,
    finished: bool,
    _lock: File,
}

impl Folder {
    fn take(data: &Path) -> Result<Self, Error> {
        let failed = |doing: &'static str| move |e: io::Error| file_error(doing, data, &e);
        let existed = data.exists();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data).map_err(failed("make"))?;
        let layout = Layout::at(data).map_err(failed("open"))?;
        let names: Vec<_> = fs::read_dir(layout.data())
            .and_then(|entries| entries.map(|e| e.map(|e| e.file_name())).collect())
            .map_err(failed("read"))?;
        let left_over = names.iter().any(|name| name == INCOMPLETE);
        // A fresh file system has its own folder for what it finds lost.
        if !left_over && names.iter().any(|name| name != "lost+found") {
            return Err(Error::conflict(format!("{} is not empty", layout.data().display()))
                .hint("restore into a new folder; to take this one's place, stop everything with `plimsoll down` and move it away"));
        }
        let mark = layout.data().join(INCOMPLETE);
        File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&mark)
            .and_then(|file| file.sync_all())
            .and_then(|()| sync_folder(layout.data()))
            .map_err(failed("write into"))?;
        let lock = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(layout.lock())
            .map_err(failed("lock"))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::conflict(format!("another restore works on {}", layout.data().display()))
                    .hint("wait for it, or choose another folder"));
            }
            Err(TryLockError::Error(e)) => return Err(failed("lock")(e)),
        }
        let folder = Self { layout, existed, finished: false, _lock: lock };
        folder.empty().map_err(failed("empty"))?;
        Ok(folder)
    }

    /// Removes all but the mark and the lock.
    fn empty(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.layout.data())? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), entry.path());
            if name == INCOMPLETE || name == "lost+found" || path == self.layout.lock() {
                continue;
            }
            match entry.file_type()?.is_dir() {
                true => remove_dir(&path)?,
                false => fs::remove_file(&path)?,
            }
        }
        Ok(())
    }

    /// Takes the mark away: from now on a server starts here.
    fn finish(mut self) -> Result<(), Error> {
        let data = self.layout.data();
        let done = || {
            remove_dir(&data.join(WORK))?;
            nix::unistd::syncfs(File::open(data)?)?;
            fs::remove_file(data.join(INCOMPLETE))?;
            sync_folder(data)
        };
        done().map_err(|e| file_error("finish", data, &e))?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let data = self.layout.data();
        // The mark last: what can't be removed stays marked.
        if self.empty().is_ok() {
            let _ = fs::remove_file(self.layout.lock());
            let _ = fs::remove_file(data.join(INCOMPLETE));
            if !self.existed {
                let _ = fs::remove_dir(data);
            }
        }
    }
}

fn unpack(file: &Path, layout: &Layout, secrets: &Secrets) -> Result<(), Error> {
    let data = layout.data();
    let work = data.join(WORK);
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |e: io::Error| file_error("write", &path, &e)
    };
    fs::DirBuilder::new().mode(0o700).create(&work).map_err(failed(&work))?;
    let (mut files, mut tables) = (Unpack::into(data), Unpack::into(&work));
    archive::read(file, |_, entry, content| {
        let to = match entry.path.split('/').next() {
            Some("releases" | "outputs") => &mut files,
            Some("tables") => &mut tables,
            _ => return Ok(()),
        };
        // An error of ours passes through the reader as it is.
        to.entry(entry, content).map_err(|e| io::Error::other(file_error("write", &data.join(&entry.path), &e)))
    })?;
    files.finish().map_err(failed(data))?;
    write_private(&layout.key(), secrets.key.as_bytes()).map_err(failed(&layout.key()))?;
    for (name, text) in &secrets.files {
        let path = data.join(name);
        let Some(folder) = path.parent().filter(|_| name.starts_with(super::CERTIFICATES) && !name.contains(".."))
        else {
            continue;
        };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
        write_private(&path, text.as_bytes()).map_err(failed(&path))?;
    }
    Ok(())
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// All rows, and the event that tells where they came from.
async fn fill_database(url: &DatabaseUrl, layout: &Layout, manifest: &Manifest, file: &Path) -> Result<(), Error> {
    let import = Import::begin(url, &manifest.migrations).await.map_err(|e| match e {
        store::StoreError::Newer { .. } => Error::unprocessable(format!(
            "the backup {} was made by Plimsoll {}, which is newer than this one ({})",
            file.display(),
            manifest.version,
            crate::VERSION
        ))
        .hint("restore it with that version, or a later one"),
        store::StoreError::Conflict(_) => Error::conflict(e.to_string())
            .hint("restore into a new, empty database; drop what a restore that was killed has left in this one"),
        other => store_error(other),
    })?;
    for table in TABLES {
        let expected = manifest.tables.get(table).copied().unwrap_or(0);
        if expected == 0 {
            continue;
        }
        let path = layout.data().join(WORK).join("tables").join(format!("{table}.ndjson"));
        let opened = File::open(&path).map_err(|e| damaged(file, format!("tables/{table}.ndjson: {e}")))?;
        let mut lines = BufReader::with_capacity(1 << 18, opened).lines();
        let mut count = 0;
        loop {
            let rows = batch(&mut lines).map_err(|e| damaged(file, format!("tables/{table}.ndjson: {e}")))?;
            if rows.is_empty() {
                break;
            }
            count += rows.len() as u64;
            import.rows(table, &rows).await.map_err(|e| match e {
                store::StoreError::Corrupt { .. } | store::StoreError::Conflict(_) => damaged(file, e),
                other => store_error(other),
            })?;
        }
        if count != expected {
            return Err(damaged(file, format!("tables/{table}.ndjson has {count} rows and not {expected}")));
        }
    }
    import.finish().await.map_err(store_error)?;
    let told = async {
        let store = Store::open(url).await?;
        let tx = store.write().await?;
        // Channels are told of nothing before this, and of this.
        store::notice_cursor::set(&tx, store::events::latest(&tx).await?).await?;
        let event = EventKind::ServerRestored { taken_at: manifest.taken_at };
        store::events::insert(&tx, None, None, None, &event, Utc::now()).await?;
        tx.commit().await?;
        store.close().await;
        Ok(())
    };
    told.await.map_err(store_error)
}

fn batch(lines: &mut impl Iterator<Item = io::Result<String>>) -> io::Result<Vec<Row>> {
    lines.take(BATCH).map(|line| Ok(serde_json::from_str(&line?)?)).collect()
}

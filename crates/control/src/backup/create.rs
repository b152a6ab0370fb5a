//! Making a backup, while the server runs or not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, TryLockError};
use std::io::{self, Seek};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chrono::{DateTime, Utc};
use operations::Error;
use secrecy::SecretString;
use store::transfer::{Row, Snapshot, TABLES};
use store::{DatabaseUrl, StoreError};
use zeroize::Zeroizing;

use super::archive::{Lines, Writer, sync_folder};
use super::manifest::{self, Elsewhere, FORMAT, Manifest, ReleaseFiles};
use super::secrets::{self, Lock, Secrets};
use super::{CERTIFICATES, beside, blocking, file_error, verify};
use crate::error::store_error;
use crate::layout::{Layout, remove_dir};
use crate::vault::Vault;

/// How often to begin anew when releases go while they are read.
const TRIES: u32 = 3;

/// What to back up, and where to.
#[derive(Debug, Clone)]
pub struct CreateOptions {
    /// The data folder.
    pub data: PathBuf,
    /// `postgres://…`; SQLite in the data folder when absent.
    pub database: Option<SecretString>,
    /// The file to make; there must be none of that name.
    pub file: PathBuf,
    pub keys: Keys,
    /// Whether what deployments printed goes along.
    pub outputs: bool,
}

/// What becomes of key file and certificates.
#[derive(Debug, Clone)]
pub enum Keys {
    /// They are in the backup, and open with this passphrase.
    Sealed(SecretString),
    /// They are not: without the key file no variable of the backup can be read.
    LeftOut,
}

/// Writes a backup, reads it back, and gives it its name. What it holds.
///
/// # Errors
/// `Conflict` when the file exists, `NotFound` without a data folder, `Unavailable` when something can't be read or
/// written. After an error there is no file.
pub async fn create(options: CreateOptions) -> Result<Manifest, Error> {
    let (layout, database) = crate::control::existing(&options.data, options.database.as_ref())?;
    let mut work = Work::begin(&options.file)?;
    for _ in 0..TRIES {
        let rows = Rows::read(&database, &layout, &work.tables).await?;
        let (job, layout) = (options.clone(), layout.clone());
        let (done, back) = blocking(move || {
            let done = write(&job, &layout, &mut work, rows)?;
            Ok((done, work))
        })
        .await?;
        if let Some(manifest) = done {
            return Ok(manifest);
        }
        work = back;
        tracing::info!("a release went while it was read; reading everything again");
    }
    Err(Error::unavailable("the files of a release that serves are missing, or releases go faster than they are read")
        .hint("look into the folder `releases`; deploy again what a restore said it has no files of; or try again when no app is being deleted. Nothing was written"))
}

/// The rows of one moment, in files of their own.
struct Rows {
    taken_at: DateTime<Utc>,
    database: &'static str,
    migrations: Vec<String>,
    counts: BTreeMap<String, u64>,
    /// Id, app, name of the folder.
    releases: Vec<(String, String, String)>,
    /// Names of apps by id.
    apps: BTreeMap<String, String>,
    serving: Vec<Serving>,
    /// What the data folder is called among the hosts.
    host: Option<String>,
}

/// An environment with an active release.
struct Serving {
    /// Id of the app.
    app: String,
    environment: String,
    /// Id of the release.
    release: String,
    /// Older databases know of no hosts.
    host: Option<String>,
}

impl Rows {
    async fn read(database: &DatabaseUrl, layout: &Layout, to: &Path) -> Result<Self, Error> {
        let snapshot = Snapshot::open(database).await.map_err(store_error)?;
        let host = match fs::read_to_string(layout.host()) {
            Ok(folder) => snapshot.host_of(folder.trim()).await.map_err(store_error)?,
            // No server has begun on it yet.
            Err(e) if e.kind() == io::ErrorKind::NotFound => None,
            Err(e) => return Err(file_error("read", &layout.host(), &e)),
        };
        let mut rows = Self {
            taken_at: Utc::now(),
            database: match snapshot.kind() {
                store::Kind::Sqlite => "sqlite",
                store::Kind::Postgres => "postgres",
            },
            migrations: snapshot.migrations().to_vec(),
            counts: BTreeMap::new(),
            releases: Vec::new(),
            apps: BTreeMap::new(),
            serving: Vec::new(),
            host,
        };
        for table in TABLES {
            let path = to.join(format!("{table}.ndjson"));
            let failed = |e: io::Error| Stop::Ours(file_error("write", &path, &e));
            let mut lines = Lines::create(&path).map_err(failed).map_err(Error::from)?;
            let each = |batch: Vec<Row>| {
                for row in &batch {
                    rows.note(table, row);
                    lines.push(row).map_err(failed)?;
                }
                Ok(())
            };
            let count = snapshot.rows::<Stop>(table, each).await.map_err(Error::from)?;
            lines.finish().map_err(failed).map_err(Error::from)?;
            rows.counts.insert(table.to_owned(), count);
        }
        Ok(rows)
    }

    /// What the files have to be read for.
    fn note(&mut self, table: &str, row: &Row) {
        let text = |name: &str| row.get(name).and_then(|v| v.as_str()).map(str::to_owned);
        match table {
            // A promoted release has the files of the one that it was promoted from.
            "releases" => {
                let files = text("artifact").or_else(|| text("digest"));
                self.releases.extend(text("id").zip(text("app_id")).zip(files).map(flat));
            }
            "apps" => self.apps.extend(text("id").zip(text("name"))),
            "environments" => {
                let host = text("host");
                if let (Some(app), Some(environment), Some(release)) =
                    (text("app_id"), text("name"), text("active_release"))
                {
                    self.serving.push(Serving { app, environment, release, host });
                }
            }
            _ => {}
        }
    }

    /// The other host that it serves on. Without a name of our own there is none: the first server that begins on this folder
    /// takes all there is.
    fn elsewhere<'a>(&self, serving: &'a Serving) -> Option<&'a str> {
        let (Some(ours), Some(theirs)) = (&self.host, &serving.host) else { return None };
        (theirs != ours && !theirs.is_empty()).then_some(theirs.as_str())
    }

    /// Whether the files that an environment serves are among these.
    fn is_kept(&self, serving: &Serving, files: &[ReleaseFiles]) -> bool {
        let release = self.releases.iter().find(|(id, ..)| *id == serving.release);
        release.is_some_and(|(_, app, digest)| files.iter().any(|f| f.kept && f.app == *app && f.digest == *digest))
    }
}

fn flat(((id, app), digest): ((String, String), String)) -> (String, String, String) {
    (id, app, digest)
}

/// Why reading rows stopped.
enum Stop {
    Store(StoreError),
    Ours(Error),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Stop::Store(error)
    }
}

impl From<Stop> for Error {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Store(error) => store_error(error),
            Stop::Ours(error) => error,
        }
    }
}

/// The file under its preliminary name, and the folder of the rows; both go with this value.
struct Work {
    /// What it will be called.
    file: PathBuf,
    partial: PathBuf,
    tables: PathBuf,
    /// Locked: one backup of a name at a time. What a killed one has left is taken over.
    handle: File,
}

impl Work {
    fn begin(file: &Path) -> Result<Self, Error> {
        let file = std::path::absolute(file).map_err(|e| file_error("write", file, &e))?;
        let exists =
            || Error::conflict(format!("{} exists already", file.display())).hint("choose another name with --output");
        if fs::symlink_metadata(&file).is_ok() {
            return Err(exists());
        }
        let (partial, tables) = (beside(&file, "partial"), beside(&file, "tables"));
        let handle = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&partial)
            .map_err(|e| file_error("write", &partial, &e))?;
        match handle.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::conflict(format!("another backup is being written to {}", file.display()))
                    .hint("wait for it, or choose another name with --output"));
            }
            Err(TryLockError::Error(e)) => return Err(file_error("lock", &partial, &e)),
        }
        let work = Self { file, partial, tables, handle };
        remove_dir(&work.tables).map_err(|e| file_error("remove", &work.tables, &e))?;
        use std::os::unix::fs::DirBuilderExt;
        fs::DirBuilder::new().mode(0o700).create(&work.tables).map_err(|e| file_error("make", &work.tables, &e))?;
        Ok(work)
    }

    /// An empty file to write to.
    fn writer(&mut self) -> io::Result<Writer> {
        self.handle.set_len(0)?;
        self.handle.rewind()?;
        Writer::new(self.handle.try_clone()?)
    }

    /// Gives the file its name, unless there is another of that name by now.
    fn publish(&self) -> io::Result<()> {
        fs::hard_link(&self.partial, &self.file).or_else(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => Err(e),
            // A file system without links.
            _ => fs::rename(&self.partial, &self.file),
        })?;
        sync_folder(self.file.parent().unwrap_or(Path::new("/")))
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.partial);
        let _ = remove_dir(&self.tables);
    }
}

/// `None` when files went while they were read.
fn write(options: &CreateOptions, layout: &Layout, work: &mut Work, rows: Rows) -> Result<Option<Manifest>, Error> {
    let vault = Vault::open(&layout.key(), false).map_err(|e| Error::unavailable(e.to_string()))?;
    let mut manifest = Manifest {
        format: FORMAT,
        version: crate::VERSION.to_owned(),
        taken_at: rows.taken_at,
        data: layout.data().to_owned(),
        database: rows.database.to_owned(),
        migrations: rows.migrations.clone(),
        tables: rows.counts.clone(),
        releases: releases(layout, &rows),
        elsewhere: Vec::new(),
        lock: None,
        key_digest: vault.backup_digest(),
        skipped: Vec::new(),
    };
    for serving in &rows.serving {
        let kept = rows.is_kept(serving, &manifest.releases);
        match rows.elsewhere(serving) {
            Some(host) => manifest.elsewhere.push(Elsewhere {
                app: rows.apps.get(&serving.app).unwrap_or(&serving.app).clone(),
                environment: serving.environment.clone(),
                host: host.to_owned(),
                kept,
            }),
            None if kept => {}
            None => return Ok(None),
        }
    }
    let sealed = match &options.keys {
        Keys::LeftOut => None,
        Keys::Sealed(passphrase) => {
            let lock = Lock::new();
            let sealed = lock.seal(passphrase, &read_secrets(layout)?)?;
            manifest.lock = Some(lock);
            Some(sealed)
        }
    };
    // They are named in the manifest, which comes first.
    manifest.skipped = skipped(layout, &manifest.releases);
    match fill(options, layout, work, &manifest, sealed.as_deref()) {
        Ok(()) => {}
        Err(Broken::Source(path, e)) if e.kind() == io::ErrorKind::NotFound => {
            tracing::debug!(path = %path.display(), "it is gone");
            return Ok(None);
        }
        Err(Broken::Source(path, e)) => return Err(file_error("back up", &path, &e)),
        Err(Broken::Target(e)) => return Err(file_error("write", &work.file, &e)),
    }
    let passphrase = match &options.keys {
        Keys::Sealed(passphrase) => Some(passphrase),
        Keys::LeftOut => None,
    };
    let read_back = verify(&work.partial, passphrase)?;
    if read_back != manifest {
        return Err(Error::unavailable("the backup does not read back as it was written").hint("look at the disk"));
    }
    work.publish().map_err(|e| file_error("name", &work.file, &e))?;
    Ok(Some(manifest))
}

enum Broken {
    Source(PathBuf, io::Error),
    Target(io::Error),
}

fn fill(
    options: &CreateOptions,
    layout: &Layout,
    work: &mut Work,
    manifest: &Manifest,
    sealed: Option<&[u8]>,
) -> Result<(), Broken> {
    let mut writer = work.writer().map_err(Broken::Target)?;
    let head = serde_json::to_vec_pretty(manifest).map_err(|e| Broken::Target(e.into()))?;
    writer.bytes(manifest::ENTRY, &head).map_err(Broken::Target)?;
    if let Some(sealed) = sealed {
        writer.bytes(secrets::ENTRY, sealed).map_err(Broken::Target)?;
    }
    for table in TABLES {
        let name = format!("{table}.ndjson");
        writer.file(&format!("tables/{name}"), &work.tables.join(&name)).map_err(Broken::Target)?;
    }
    for release in manifest.releases.iter().filter(|release| release.kept) {
        let path = format!("releases/{}/{}", release.app, release.digest);
        let from = layout.data().join(&path);
        writer.folder(&path, &from, &mut |_| {}).map_err(|e| of(&from, e))?;
    }
    if options.outputs {
        let folder = layout.outputs();
        let mut names: Vec<_> = fs::read_dir(&folder).into_iter().flatten().flatten().map(|e| e.file_name()).collect();
        names.sort();
        for name in names.iter().filter_map(|name| name.to_str()).filter(|name| name.ends_with(".ndjson")) {
            let from = folder.join(name);
            writer.file(&format!("outputs/{name}"), &from).map_err(|e| of(&from, e))?;
        }
    }
    writer.finish().map_err(Broken::Target)
}

/// Reading and writing happen in one call: a full disk is the target's, all else is told of the source.
fn of(path: &Path, error: io::Error) -> Broken {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            Broken::Target(error)
        }
        _ => Broken::Source(path.to_owned(), error),
    }
}

/// Each folder once, though several releases may share it.
fn releases(layout: &Layout, rows: &Rows) -> Vec<ReleaseFiles> {
    let serving: BTreeSet<&str> = rows.serving.iter().map(|serving| serving.release.as_str()).collect();
    let mut active: BTreeMap<(&str, &str), bool> = BTreeMap::new();
    for (id, app, digest) in &rows.releases {
        *active.entry((app, digest)).or_default() |= serving.contains(id.as_str());
    }
    let files = |((app, digest), active): ((&str, &str), bool)| ReleaseFiles {
        app: app.to_owned(),
        digest: digest.to_owned(),
        active,
        kept: layout.releases().join(app).join(digest).is_dir(),
    };
    active.into_iter().map(files).collect()
}

/// Paths below the data folder that can't go along.
fn skipped(layout: &Layout, releases: &[ReleaseFiles]) -> Vec<PathBuf> {
    fn look(dir: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(_) if entry.file_name().to_str().is_none() => found.push(entry.path()),
                Ok(kind) if kind.is_dir() => look(&entry.path(), found),
                Ok(kind) if kind.is_file() || kind.is_symlink() => {}
                _ => found.push(entry.path()),
            }
        }
    }
    let mut found = Vec::new();
    for release in releases.iter().filter(|release| release.kept) {
        look(&layout.releases().join(&release.app).join(&release.digest), &mut found);
    }
    let data = layout.data();
    found.iter().map(|path| path.strip_prefix(data).unwrap_or(path).to_owned()).collect()
}

fn read_secrets(layout: &Layout) -> Result<Secrets, Error> {
    let read = |path: &Path| fs::read_to_string(path).map(Zeroizing::new).map_err(|e| file_error("read", path, &e));
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(layout.data().join(CERTIFICATES)).into_iter().flatten().flatten() {
        if let (Some(name), true) = (entry.file_name().to_str(), entry.path().is_file()) {
            files.insert(format!("{CERTIFICATES}/{name}"), read(&entry.path())?);
        }
    }
    Ok(Secrets { key: read(&layout.key())?, files })
}

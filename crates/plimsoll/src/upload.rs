//! Sending an archive to the server, in pieces, for as long as it takes.
//!
//! What was sent of the same file before, by whatever process, is not sent again: the server keeps it for a day, and
//! its digest says that it is the same.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use domain::UploadId;
use domain::upload::{Algorithm, Checksum};
use forge::archive::{self, ArchiveError};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use operations::uploads::{Create, CreateRequest, Get, List, ListRequest, Upload, UploadRequest};
use operations::{Error, ErrorKind};

use crate::commands::Context;
use crate::connection::{Connection, PATIENCE};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::text;

/// A piece is kept once all of it has arrived on the server's disk; what was sent of one that fails counts, too.
const PIECE: u64 = 8 << 20;
/// The bar moves by as much.
const STEP: usize = 64 << 10;

/// A file that was looked at.
pub(crate) struct Archive {
    file: File,
    name: String,
    size: u64,
    digest: Checksum,
}

impl Archive {
    /// Opens and reads the file; `-` is what comes in, which is kept in a temporary file that has no name.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let unreadable = |e: io::Error| Failure::file("read", path, &e);
        let (mut file, name) = match path.to_str() {
            Some("-") => (spooled().map_err(unreadable)?, "(standard input)".to_owned()),
            _ => {
                let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
                (File::open(path).map_err(unreadable)?, text::clean(&name).chars().take(255).collect())
            }
        };
        let meta = file.metadata().map_err(unreadable)?;
        if meta.is_dir() {
            return Err(Failure::from(Error::invalid(format!("{} is a folder, not an archive", path.display())))
                .hint("Deploy it with --dir, or pack it: `tar -czf app.tar.gz -C FOLDER .`"));
        }
        archive::recognise(&mut file).map_err(|e| unusable(path, &e))?;
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(&mut file).map_err(unreadable)?;
        let digest = Checksum::new(Algorithm::Blake3, hasher.finalize().as_bytes());
        // Not its metadata: that of a pipe says nothing.
        let size = hasher.count();
        Ok(Self { file, name, size, digest })
    }

    fn piece(&self, offset: u64) -> Result<Vec<u8>, Failure> {
        let length = usize::try_from((self.size - offset).min(PIECE)).unwrap_or(usize::MAX);
        let mut piece = vec![0; length];
        self.file.read_exact_at(&mut piece, offset).map_err(|e| {
            Failure::from(Error::invalid(format!("can't read {} any more: {e}", self.name)))
                .hint("Did it change while it was sent? Deploy it again")
        })?;
        Ok(piece)
    }
}

/// Sends the archive, or what the server lacks of it; returns its upload, complete.
pub(crate) async fn send(context: &Context, connection: &Connection, archive: &Archive) -> Result<UploadId, Failure> {
    let bar = Bar::new(context, archive);
    let mut again = 2;
    loop {
        let upload = match found(connection, archive).await? {
            Some(upload) => {
                if upload.received > 0 && !upload.complete {
                    let there = text::bytes(upload.received);
                    bar.remark(context, format!("{there} of it are there from an earlier try: going on from there"));
                }
                upload
            }
            None => announced(context, connection, archive).await?,
        };
        match push(context, connection, archive, upload, &bar).await {
            // Somebody else sent the same file, deployed it, and it is gone; or it has expired.
            Err(Failure::Problem { exit: Exit::NotFound, .. }) if again > 0 => again -= 1,
            other => return other,
        }
    }
}

/// An upload of the same file that is not in use: one that is may go at any moment.
async fn found(connection: &Connection, archive: &Archive) -> Result<Option<Upload>, Failure> {
    let mut cursor = None;
    loop {
        let page = connection.call::<List>(&ListRequest { cursor, limit: 500 }).await?;
        let same = |upload: &Upload| {
            upload.digest == archive.digest && upload.size == archive.size && upload.in_use.is_empty()
        };
        if let Some(upload) = page.items.into_iter().find(same) {
            return Ok(Some(upload));
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(None),
        }
    }
}

async fn announced(context: &Context, connection: &Connection, archive: &Archive) -> Result<Upload, Failure> {
    let key = format!("cli-{:032x}", rand::random::<u128>());
    let request = CreateRequest { name: archive.name.clone(), size: archive.size, digest: archive.digest.clone() };
    let away = || context.out.remark("the server is away, reconnecting…");
    connection.call_patiently::<Create>(&request, &key, away).await
}

async fn push(
    context: &Context,
    connection: &Connection,
    archive: &Archive,
    mut upload: Upload,
    bar: &Bar,
) -> Result<UploadId, Failure> {
    let request = UploadRequest { upload: upload.id.clone() };
    let mut progress = Instant::now();
    let mut pause = Duration::from_millis(200);
    while !upload.complete {
        let offset = upload.received;
        bar.at(offset);
        let piece = archive.piece(offset)?;
        let length = piece.len() as u64;
        let sent = connection.client().send(&upload.id, offset, length, bar.stream(piece)).await;
        let error = match sent {
            Ok(now) => {
                (upload, progress, pause) = (now, Instant::now(), Duration::from_millis(200));
                continue;
            }
            Err(error) => error,
        };
        // A conflict: what we sent before is still being written, or somebody else sends the same file.
        let passes = connection.may_pass(&error) || error.kind() == Some(ErrorKind::Conflict);
        if !passes || progress.elapsed() > PATIENCE {
            return Err(error.into());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
        connection.refresh();
        // A read needs no key.
        let away = || bar.remark(context, "the server is away, reconnecting…".to_owned());
        let now = connection.call_patiently::<Get>(&request, "", away).await?;
        if now.received != offset {
            progress = Instant::now();
        }
        upload = now;
    }
    Ok(upload.id)
}

/// How far it is, on a terminal; a line elsewhere.
struct Bar(Option<ProgressBar>);

impl Bar {
    fn new(context: &Context, archive: &Archive) -> Self {
        if !context.out.live {
            context.out.remark(format!("sending {} ({})", archive.name, text::bytes(archive.size)));
            return Self(None);
        }
        let bar = ProgressBar::with_draw_target(Some(archive.size), ProgressDrawTarget::stderr_with_hz(10));
        let template = "{spinner} sending {msg} {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message(archive.name.clone());
        bar.enable_steady_tick(Duration::from_millis(120));
        Self(Some(bar))
    }

    fn at(&self, bytes: u64) {
        if let Some(bar) = &self.0 {
            bar.set_position(bytes);
        }
    }

    fn remark(&self, context: &Context, line: String) {
        match &self.0 {
            Some(bar) => bar.println(line),
            None => context.out.remark(line),
        }
    }

    /// A body that moves the bar as it is taken.
    fn stream(&self, piece: Vec<u8>) -> reqwest::Body {
        let steps: Vec<Vec<u8>> = piece.chunks(STEP).map(<[u8]>::to_vec).collect();
        let bar = self.0.clone();
        reqwest::Body::wrap_stream(futures::stream::iter(steps.into_iter().map(move |step| {
            if let Some(bar) = &bar {
                bar.inc(step.len() as u64);
            }
            Ok::<_, io::Error>(step)
        })))
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn spooled() -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(file)
}

fn unusable(path: &Path, error: &ArchiveError) -> Failure {
    // The error says what to do behind its last semicolon.
    let text = format!("{}: {error}", path.display());
    let (detail, hint) = text.rsplit_once("; ").unwrap_or((&text, "pack the app's folder"));
    Error::unprocessable(detail).hint(hint).into()
}

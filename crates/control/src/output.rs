//! What a deployment prints: one append-only file of JSON lines for each.
//!
//! The file is for people. Losing its last lines to a power cut is acceptable, so it
//! is not synced; a line cut short by a crash is dropped when the file is opened again.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use domain::DeploymentId;
use domain::redact::Redactor;
use operations::logs::{LogLine, Stream};
use tokio::sync::watch;

use crate::layout::Layout;

pub(crate) mod reader;

pub(crate) use reader::{Reader, last_line};

/// A file takes this much; what comes later is counted out loud once and dropped.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// The outputs of all deployments.
#[derive(Clone)]
pub(crate) struct Outputs {
    layout: Layout,
    open: Arc<Mutex<HashMap<DeploymentId, Arc<Mutex<Writer>>>>>,
}

/// Writes the output of one deployment under one name for its source.
#[derive(Clone)]
pub(crate) struct Sink {
    writer: Arc<Mutex<Writer>>,
    redactor: Arc<Redactor>,
    source: String,
}

struct Writer {
    file: Option<File>,
    /// Number of the next line; they count from 1.
    next: u64,
    bytes: u64,
    /// When something was printed last.
    printed_at: Option<DateTime<Utc>>,
    /// Tells those who follow that there is more.
    printed: watch::Sender<()>,
    /// The last lines of the source that printed last.
    recent: (String, std::collections::VecDeque<String>),
}

impl Outputs {
    pub(crate) fn new(layout: Layout) -> Self {
        Self { layout, open: Arc::default() }
    }

    /// `source` names who prints: a phase or a component.
    pub(crate) fn sink(&self, deployment: &DeploymentId, source: &str, redactor: Arc<Redactor>) -> Sink {
        let writer = lock(&self.open)
            .entry(deployment.clone())
            .or_insert_with(|| Arc::new(Mutex::new(Writer::open(&self.layout.output(deployment)))))
            .clone();
        Sink { writer, redactor, source: source.to_owned() }
    }

    /// The deployment has ended: nothing more is written.
    pub(crate) fn close(&self, deployment: &DeploymentId) {
        lock(&self.open).remove(deployment);
    }

    pub(crate) fn delete(&self, deployment: &DeploymentId) -> io::Result<()> {
        self.close(deployment);
        match std::fs::remove_file(self.layout.output(deployment)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
            _ => Ok(()),
        }
    }

    /// When a deployment that runs here last printed something.
    pub(crate) fn printed_at(&self, deployment: &DeploymentId) -> Option<DateTime<Utc>> {
        let writer = lock(&self.open).get(deployment).cloned()?;
        lock(&writer).printed_at
    }

    /// Changes with each line, until the deployment has ended; `None` while nothing of it is at work in this process.
    pub(crate) fn printed(&self, deployment: &DeploymentId) -> Option<watch::Receiver<()>> {
        let writer = lock(&self.open).get(deployment).cloned()?;
        Some(lock(&writer).printed.subscribe())
    }

    pub(crate) fn reader(&self, deployment: &DeploymentId) -> Reader {
        Reader::new(self.layout.output(deployment))
    }
}

impl Sink {
    pub(crate) fn line(&self, stream: Stream, text: &str) {
        let text = self.redactor.clean(text);
        lock(&self.writer).append(&self.source, stream, &text);
    }

    /// A remark of Plimsoll's own.
    pub(crate) fn say(&self, text: &str) {
        self.line(Stream::Plimsoll, text);
    }

    /// The last lines that were printed under this sink's name, oldest first, Plimsoll's remarks left out.
    pub(crate) fn tail(&self) -> Vec<String> {
        let writer = lock(&self.writer);
        let (source, lines) = &writer.recent;
        if *source == self.source { lines.iter().cloned().collect() } else { Vec::new() }
    }
}

/// Lines kept at hand for a failure.
const RECENT: usize = 20;

impl Writer {
    fn new(file: Option<File>, next: u64, bytes: u64) -> Self {
        Self { file, next, bytes, printed_at: None, printed: watch::Sender::new(()), recent: Default::default() }
    }

    /// A file that can't be opened costs the output, not the deployment.
    fn open(path: &Path) -> Self {
        let nothing = |e: io::Error| {
            tracing::warn!(path = %path.display(), "can't keep the output of a deployment: {e}");
            Self::new(None, 1, 0)
        };
        let open = || {
            let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)?;
            let (mut end, mut next, mut line) = (0u64, 1u64, String::new());
            let mut reader = BufReader::new(&mut file);
            while reader.read_line(&mut line)? > 0 {
                let Some(parsed) = line.ends_with('\n').then(|| serde_json::from_str::<LogLine>(&line).ok()).flatten()
                else {
                    break;
                };
                end += line.len() as u64;
                next = parsed.seq + 1;
                line.clear();
            }
            file.set_len(end)?;
            Ok(Self::new(Some(file), next, end))
        };
        open().unwrap_or_else(nothing)
    }

    fn append(&mut self, source: &str, stream: Stream, text: &str) {
        self.printed_at = Some(store::clock::now());
        if stream != Stream::Plimsoll {
            if self.recent.0 != source {
                self.recent = (source.to_owned(), Default::default());
            }
            let lines = &mut self.recent.1;
            if lines.len() == RECENT {
                lines.pop_front();
            }
            lines.push_back(text.chars().take(500).collect());
        }
        let Some(file) = self.file.as_mut() else { return };
        let full = self.bytes > MAX_BYTES;
        let (stream, text) =
            if full { (Stream::Plimsoll, "output is too long; the rest is not kept") } else { (stream, text) };
        let line = LogLine {
            seq: self.next,
            at: store::clock::now(),
            source: source.to_owned(),
            log: None,
            stream,
            text: text.to_owned(),
        };
        let Ok(mut json) = serde_json::to_vec(&line) else { return };
        json.push(b'\n');
        // One write, so that readers see whole lines or a cut one that they wait for.
        if let Err(e) = file.write_all(&json) {
            tracing::warn!("can't keep the output of a deployment: {e}");
            self.file = None;
            return;
        }
        self.printed.send_replace(());
        self.next += 1;
        self.bytes += json.len() as u64;
        if full {
            self.file = None;
        }
    }
}

/// A panic while holding the lock leaves nothing half-done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::reader::Most;
    use super::*;

    fn outputs(dir: &Path) -> (Outputs, DeploymentId) {
        (Outputs::new(Layout::prepare(dir).unwrap()), DeploymentId::from_ulid(ulid::Ulid::from_parts(1, 2)))
    }

    #[test]
    fn numbers_go_on_after_a_cut_line() {
        let dir = tempfile::tempdir().unwrap();
        let (first, id) = outputs(dir.path());
        let sink = first.sink(&id, "building", Arc::default());
        sink.line(Stream::Stdout, "one");
        sink.line(Stream::Stdout, "two");
        let path = Layout::prepare(dir.path()).unwrap().output(&id);
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{\"seq\":3,\"at\"").unwrap();

        let (second, _) = outputs(dir.path());
        second.sink(&id, "building", Arc::default()).line(Stream::Stderr, "three");
        let mut reader = second.reader(&id);
        let lines = reader.read(None, Most::lines(100)).unwrap();
        assert_eq!(
            lines.iter().map(|l| (l.seq, l.text.as_str())).collect::<Vec<_>>(),
            [(1, "one"), (2, "two"), (3, "three")]
        );
        assert_eq!(reader.read(None, Most::lines(100)).unwrap(), []);
        assert_eq!(second.reader(&id).read(Some(2), Most::lines(100)).unwrap().len(), 1);
    }

    #[test]
    fn secrets_are_masked_and_the_tail_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let (outputs, id) = outputs(dir.path());
        let sink = outputs.sink(&id, "building", Arc::new(Redactor::new(["s3cr3t-value"])));
        for n in 0..30 {
            sink.line(Stream::Stdout, &format!("{n} s3cr3t-value"));
        }
        sink.say("done");
        let text = std::fs::read_to_string(Layout::prepare(dir.path()).unwrap().output(&id)).unwrap();
        assert!(!text.contains("s3cr3t"));
        assert_eq!(sink.tail().len(), RECENT);
        assert!(sink.tail().last().unwrap().starts_with("29 "));
    }
}

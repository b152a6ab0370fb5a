//! What a deployment prints: one append-only file of JSON lines for each.
//!
//! The file is for people. Losing its last lines to a power cut is acceptable, so it
//! is not synced; a line cut short by a crash is dropped when the file is opened again.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, Utc};
use domain::DeploymentId;
use operations::logs::{LogLine, Stream};

use crate::layout::Layout;
use crate::redact::Redactor;

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

    pub(crate) fn reader(&self, deployment: &DeploymentId) -> Reader {
        Reader { path: self.layout.output(deployment), offset: 0 }
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
    /// A file that can't be opened costs the output, not the deployment.
    fn open(path: &Path) -> Self {
        let nothing = |e: io::Error| {
            tracing::warn!(path = %path.display(), "can't keep the output of a deployment: {e}");
            Self { file: None, next: 1, bytes: 0, printed_at: None, recent: Default::default() }
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
            Ok(Self { file: Some(file), next, bytes: end, printed_at: None, recent: Default::default() })
        };
        open().unwrap_or_else(nothing)
    }

    fn append(&mut self, source: &str, stream: Stream, text: &str) {
        self.printed_at = Some(Utc::now());
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
        let line = LogLine { seq: self.next, at: Utc::now(), source: source.to_owned(), stream, text: text.to_owned() };
        let Ok(mut json) = serde_json::to_vec(&line) else { return };
        json.push(b'\n');
        // One write, so that readers see whole lines or a cut one that they wait for.
        if let Err(e) = file.write_all(&json) {
            tracing::warn!("can't keep the output of a deployment: {e}");
            self.file = None;
            return;
        }
        self.next += 1;
        self.bytes += json.len() as u64;
        if full {
            self.file = None;
        }
    }
}

/// Reads a deployment's output in order.
pub(crate) struct Reader {
    path: PathBuf,
    offset: u64,
}

impl Reader {
    /// The next lines with a number above `after`; none for now if that is all there is.
    pub(crate) fn read(&mut self, after: Option<u64>, limit: usize) -> io::Result<Vec<LogLine>> {
        let mut file = match File::open(&self.path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(e),
        };
        file.seek(SeekFrom::Start(self.offset))?;
        let (mut reader, mut line, mut lines) = (BufReader::new(file), String::new(), Vec::new());
        while lines.len() < limit && reader.read_line(&mut line)? > 0 && line.ends_with('\n') {
            self.offset += line.len() as u64;
            if let Ok(parsed) = serde_json::from_str::<LogLine>(&line)
                && after.is_none_or(|after| parsed.seq > after)
            {
                lines.push(parsed);
            }
            line.clear();
        }
        Ok(lines)
    }
}

/// The last line of a file of output; reads its end alone.
pub(crate) fn last_line(path: &Path) -> Option<LogLine> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LAST))).ok()?;
    let mut end = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, LAST), &mut end).ok()?;
    let lines = end.split(|byte| *byte == b'\n').rev();
    lines.filter(|line| !line.is_empty()).find_map(|line| serde_json::from_slice(line).ok())
}

/// Longer than any line: 64 KiB of text, each byte of which JSON may write as six.
const LAST: u64 = 512 * 1024;

/// A panic while holding the lock leaves nothing half-done here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
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
        let lines = reader.read(None, 100).unwrap();
        assert_eq!(
            lines.iter().map(|l| (l.seq, l.text.as_str())).collect::<Vec<_>>(),
            [(1, "one"), (2, "two"), (3, "three")]
        );
        assert_eq!(reader.read(None, 100).unwrap(), []);
        assert_eq!(second.reader(&id).read(Some(2), 100).unwrap().len(), 1);
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

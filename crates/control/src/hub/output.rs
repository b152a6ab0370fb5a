//! What a deployment prints, as a log to follow.

use std::time::Duration;

use domain::DeploymentId;
use operations::Error;
use operations::logs::LogLine;
use store::StoreError;
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Log, Read};
use crate::Control;
use crate::error::{io_error, store_error};
use crate::output::Reader;
use crate::output::reader::Most;

/// Between two looks at a file into which another process writes.
const LOOK: Duration = Duration::from_millis(100);
/// Between two looks at the database when nothing says that it has changed.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// Of one frame: it is held by who takes his time to receive it.
const MOST: Most = Most { lines: 1000, bytes: 256 * 1024 };
/// So much of the file is in the ring at the beginning.
const HISTORY: u64 = 1024 * 1024;

/// Until the deployment has ended or is stuck. The place is the number of the last line, 0 before the first.
#[derive(Clone)]
pub(crate) struct Output {
    control: Control,
    deployment: DeploymentId,
    reader: Reader,
    rest: Rest,
    /// From the writer, while it is in this process.
    printed: Option<watch::Receiver<()>>,
    /// Read, and not given yet.
    held: Vec<LogLine>,
}

impl Output {
    pub(crate) fn new(control: Control, deployment: DeploymentId) -> Self {
        let reader = control.world().outputs.reader(&deployment);
        let rest = Rest { changes: control.store().changes(), asked: None, at_rest: false };
        Self { control, deployment, reader, rest, printed: None, held: Vec::new() }
    }

    /// Reads on a thread that may wait for the disk.
    async fn with<T: Send + 'static>(
        &mut self,
        work: impl FnOnce(&mut Reader) -> std::io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let mut reader = self.reader.clone();
        let read = tokio::task::spawn_blocking(move || (work(&mut reader), reader));
        let (result, reader) = read.await.map_err(|_| Error::internal())?;
        self.reader = reader;
        let path = self.control.world().layout.output(&self.deployment);
        result.map_err(|e| io_error("read", &path, &e))
    }
}

impl Log for Output {
    type Line = LogLine;
    type Place = u64;

    async fn begin(&mut self) -> Result<u64, Error> {
        self.with(|reader| reader.near_end(HISTORY)).await
    }

    async fn is_over(&mut self) -> Result<bool, Error> {
        self.rest.look(&self.control, &self.deployment).await
    }

    async fn read(&mut self, place: &mut u64) -> Result<Read<LogLine>, Error> {
        if let Some(printed) = &mut self.printed {
            printed.borrow_and_update();
        }
        let after = *place;
        let mut lines = std::mem::take(&mut self.held);
        if lines.is_empty() {
            lines = self.with(move |reader| reader.read(Some(after), MOST)).await?;
        }
        let bytes: usize = lines.iter().map(|line| line.text.len()).sum();
        let full = lines.len() >= MOST.lines || bytes >= MOST.bytes;
        // Numbers of one frame count on, so that one says them all. There is a gap where the file was damaged.
        if let Some(gap) = lines.windows(2).position(|pair| pair[0].seq.checked_add(1) != Some(pair[1].seq)) {
            self.held = lines.split_off(gap + 1);
        }
        *place = lines.last().map_or(after, |line| line.seq);
        Ok(Read { full: full || !self.held.is_empty(), lines })
    }

    async fn grown(&mut self) {
        if self.printed.is_none() {
            self.printed = self.control.world().outputs.printed(&self.deployment);
        }
        let Some(printed) = &mut self.printed else { return tokio::time::sleep(LOOK).await };
        tokio::select! {
            // Its end may be told by nothing else: one looks whether the deployment is at rest.
            () = tokio::time::sleep(LOOK) => {}
            changed = printed.changed() => if changed.is_err() {
                self.printed = None;
            }
        }
    }

    fn covers(place: &u64, other: &u64) -> bool {
        place >= other
    }

    fn meet(place: &mut u64, line: &LogLine) -> Option<LogLine> {
        (line.seq > *place).then(|| {
            *place = line.seq;
            line.clone()
        })
    }

    fn weight(line: &LogLine) -> usize {
        size_of::<LogLine>() + line.source.len() + line.text.len()
    }
}

/// Whether a deployment is at rest, asked again when something may have changed.
#[derive(Clone)]
struct Rest {
    changes: watch::Receiver<u64>,
    asked: Option<Instant>,
    at_rest: bool,
}

impl Rest {
    async fn look(&mut self, control: &Control, deployment: &DeploymentId) -> Result<bool, Error> {
        let recent = self.asked.is_some_and(|asked| asked.elapsed() < ASK_AGAIN);
        if self.at_rest || (recent && !self.changes.has_changed().unwrap_or(true)) {
            return Ok(self.at_rest);
        }
        self.changes.borrow_and_update();
        self.asked = Some(Instant::now());
        self.at_rest = match store::deployments::get(control.store(), deployment).await {
            Ok(record) => record.deployment.phase.is_end() || record.deployment.stuck.is_some(),
            // It was deleted with its app: nothing more will come.
            Err(StoreError::NotFound { .. }) => true,
            Err(e) => return Err(store_error(e)),
        };
        Ok(self.at_rest)
    }
}

//! Following a log as it grows.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use super::{LogLine, LogReader, reader};

/// Between two looks at the file.
const INTERVAL: Duration = Duration::from_millis(100);
/// Lines in one go.
const BATCH: usize = 1000;

/// Every line from a cursor on, across rotations and restarts.
#[derive(Debug)]
pub struct Follower {
    reader: LogReader,
    name: String,
    after: Option<u64>,
    /// Inode and length of `current` when all of it had been read.
    seen: Option<(u64, u64)>,
}

impl Follower {
    pub(super) fn new(reader: LogReader, name: &str, after: Option<u64>) -> Self {
        Self { reader, name: name.to_owned(), after, seen: None }
    }

    /// The number of the last line that was handed out.
    pub fn cursor(&self) -> Option<u64> {
        self.after
    }

    /// Waits for at least one new line, and returns up to a thousand. `None` when the instance
    /// has been removed, or isn't there yet. Loses nothing if the future is dropped.
    pub async fn next(&mut self) -> io::Result<Option<Vec<LogLine>>> {
        loop {
            let (reader, name, after, seen) = (self.reader.clone(), self.name.clone(), self.after, self.seen);
            let look = tokio::task::spawn_blocking(move || look(&reader, &name, after, seen));
            match look.await.map_err(io::Error::other)?? {
                Look::Removed => return Ok(None),
                Look::Nothing(now) => self.seen = now,
                Look::Lines(lines) => {
                    self.after = lines.last().map(|l| l.seq).or(self.after);
                    return Ok(Some(lines));
                }
            }
            tokio::time::sleep(INTERVAL).await;
        }
    }
}

enum Look {
    Removed,
    Nothing(Option<(u64, u64)>),
    Lines(Vec<LogLine>),
}

fn look(reader: &LogReader, name: &str, after: Option<u64>, seen: Option<(u64, u64)>) -> io::Result<Look> {
    if !reader::is_name(name) || !reader.log(name).is_dir() {
        return Ok(Look::Removed);
    }
    // Taken before reading: what is written meanwhile makes a difference the next time.
    let now = std::fs::metadata(reader.log(name).join("current")).ok().map(|m| (m.ino(), m.len()));
    if now.is_some() && now == seen {
        return Ok(Look::Nothing(seen));
    }
    let lines = reader.read(name, after, BATCH)?;
    Ok(if lines.is_empty() { Look::Nothing(now) } else { Look::Lines(lines) })
}

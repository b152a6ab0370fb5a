//! Lines of an environment's instances: several logs, each in its own order, merged by time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::str::FromStr;

use domain::{EnvironmentId, Name};
use operations::Error;
use operations::logs::{LogLine, LogPage, Read, ReadRequest, Stream};
use runtime::LogReader;

use super::{environment_named, page_limit};
use crate::Control;
use crate::caller::{Caller, Handle};
use crate::error::{io_error, store_error};
use crate::streams::CursorLine;

impl Handle<Read> for Control {
    async fn handle(&self, _: &Caller, request: ReadRequest) -> Result<LogPage, Error> {
        let limit = page_limit(request.limit)? as usize;
        let cursor = parse_cursor(request.after.as_deref())?;
        let (_, environment) = environment_named(self.store(), &request.app, &request.environment).await?;
        let sources = self.log_sources(&environment.id, request.component.as_ref()).await?;
        let (lines, cursor) = self.read_logs(sources, cursor, limit).await?;
        Ok(LogPage { lines: lines.into_iter().map(|line| line.line).collect(), cursor: cursor.to_string() })
    }
}

/// The log of one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogSource {
    instance: String,
    /// `<component>.<index>`
    label: String,
}

/// How far each log was read: `<tag>:<number>` with commas between. A log that is not named was not read at all.
///
/// It travels in a header of limited length, so an instance is named by some digits of its name's digest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cursor(BTreeMap<String, u64>);

const TAG: usize = 10;

fn tag(instance: &str) -> String {
    blake3::hash(instance.as_bytes()).to_hex()[..TAG].to_owned()
}

impl Cursor {
    fn of(&self, source: &LogSource) -> Option<u64> {
        self.0.get(&tag(&source.instance)).copied()
    }

    fn set(&mut self, source: &LogSource, seq: u64) {
        // 0 is before the first line, as is not being there.
        if seq > 0 {
            self.0.insert(tag(&source.instance), seq);
        }
    }

    /// Forgets logs that are gone.
    pub(crate) fn keep(&mut self, sources: &[LogSource]) {
        let there: Vec<_> = sources.iter().map(|source| tag(&source.instance)).collect();
        self.0.retain(|tag, _| there.contains(tag));
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (tag, seq)) in self.0.iter().enumerate() {
            write!(f, "{}{tag}:{seq}", if n == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Cursor {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut logs = BTreeMap::new();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (tag, seq) = part.split_once(':').ok_or(())?;
            if tag.len() != TAG || !tag.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(());
            }
            logs.insert(tag.to_owned(), seq.parse().map_err(|_| ())?);
        }
        Ok(Self(logs))
    }
}

pub(crate) fn parse_cursor(after: Option<&str>) -> Result<Option<Cursor>, Error> {
    after.map(str::parse).transpose().map_err(|()| {
        Error::invalid("`after` is not a cursor of these logs")
            .hint("use the `cursor` of the page before or the `id` of the last message, or leave it out")
    })
}

impl Control {
    /// The logs of an environment's instances: what serves, what is starting and what is being stopped.
    pub(crate) async fn log_sources(
        &self,
        environment: &EnvironmentId,
        component: Option<&Name>,
    ) -> Result<Vec<LogSource>, Error> {
        let rows = store::instances::list_by_environment(self.store(), environment).await.map_err(store_error)?;
        let wanted = rows.into_iter().filter(|row| component.is_none_or(|name| &row.key.component == name));
        let source = |row: store::instances::Instance| LogSource {
            instance: row.key.name(),
            label: format!("{}.{}", row.key.component, row.key.index),
        };
        Ok(wanted.map(source).collect())
    }

    /// Up to `limit` lines after the cursor, or the newest ones without a cursor, each with the cursor behind it;
    /// and the cursor behind all.
    pub(crate) async fn read_logs(
        &self,
        sources: Vec<LogSource>,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<(Vec<CursorLine>, Cursor), Error> {
        let reader = self.world().runtime.logs();
        let read = tokio::task::spawn_blocking(move || match cursor {
            Some(cursor) => after(&reader, &sources, cursor, limit),
            None => newest(&reader, &sources, limit),
        });
        let read = read.await.map_err(|_| Error::internal())?;
        read.map_err(|e| io_error("read", &self.world().layout.instances(), &e))
    }
}

type Lines = io::Result<(Vec<CursorLine>, Cursor)>;

fn after(reader: &LogReader, sources: &[LogSource], mut cursor: Cursor, limit: usize) -> Lines {
    let mut logs = Vec::with_capacity(sources.len());
    for source in sources {
        logs.push((source, reader.read(&source.instance, cursor.of(source), limit)?.into()));
    }
    cursor.keep(sources);
    let mut lines = merge(logs);
    lines.truncate(limit);
    Ok(number(lines, cursor))
}

fn newest(reader: &LogReader, sources: &[LogSource], limit: usize) -> Lines {
    let mut logs = Vec::with_capacity(sources.len());
    for source in sources {
        logs.push((source, reader.tail(&source.instance, limit)?.into()));
    }
    let mut cursor = Cursor::default();
    // The first line may be number 1: what is before the oldest that was read counts as seen.
    for (source, lines) in &logs {
        let lines: &VecDeque<runtime::LogLine> = lines;
        cursor.set(source, lines.front().map_or(0, |line| line.seq.saturating_sub(1)));
    }
    let mut lines = merge(logs);
    let shown = lines.split_off(lines.len().saturating_sub(limit));
    for (source, line) in lines {
        cursor.set(source, line.seq);
    }
    Ok(number(shown, cursor))
}

/// By time, but never out of a log's own order, which a clock that is set back does not change.
fn merge(mut logs: Vec<(&LogSource, VecDeque<runtime::LogLine>)>) -> Vec<(&LogSource, runtime::LogLine)> {
    let mut merged = Vec::with_capacity(logs.iter().map(|(_, lines)| lines.len()).sum());
    loop {
        let heads = logs.iter_mut().filter(|(_, lines)| !lines.is_empty());
        let Some((source, lines)) = heads.min_by_key(|(_, lines)| lines.front().map(|line| line.at)) else {
            return merged;
        };
        merged.extend(lines.pop_front().map(|line| (*source, line)));
    }
}

fn number(lines: Vec<(&LogSource, runtime::LogLine)>, mut cursor: Cursor) -> (Vec<CursorLine>, Cursor) {
    let numbered = lines.into_iter().map(|(source, line)| {
        cursor.set(source, line.seq);
        CursorLine { cursor: cursor.to_string(), line: shown(source, line) }
    });
    (numbered.collect(), cursor)
}

fn shown(source: &LogSource, line: runtime::LogLine) -> LogLine {
    let runtime::LogLine { seq, at, stream, text } = line;
    let stream = match stream {
        runtime::Stream::Stdout => Stream::Stdout,
        runtime::Stream::Stderr => Stream::Stderr,
        runtime::Stream::System => Stream::Plimsoll,
    };
    LogLine { seq, at, source: source.label.clone(), stream, text }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::path::Path;

    use super::*;

    fn sources() -> Vec<LogSource> {
        ["web", "worker"].map(|c| LogSource { instance: format!("dep-{c}-0"), label: format!("{c}.0") }).to_vec()
    }

    /// A log as supervisors write it: number and milliseconds of each line.
    fn write(dir: &Path, source: &LogSource, lines: &[(u64, i64)]) {
        let log = dir.join(&source.instance).join("log");
        std::fs::create_dir_all(&log).unwrap();
        let text: String = lines.iter().map(|(seq, at)| format!("{seq}\t{at}\to\t{}{seq}\n", source.label)).collect();
        std::fs::write(log.join("current"), text).unwrap();
    }

    fn texts(lines: &[CursorLine]) -> Vec<&str> {
        lines.iter().map(|line| line.line.text.as_str()).collect()
    }

    #[test]
    fn logs_are_merged_and_any_cursor_goes_on_without_gap_or_repetition() {
        let dir = tempfile::tempdir().unwrap();
        let sources = sources();
        write(dir.path(), &sources[0], &[(1, 10), (2, 30), (3, 50)]);
        // The clock was set back before the third line.
        write(dir.path(), &sources[1], &[(1, 20), (2, 40), (3, 5)]);
        let reader = LogReader::new(dir.path().to_owned());
        let all = ["web.01", "worker.01", "web.02", "worker.02", "worker.03", "web.03"];

        for limit in 1..=6 {
            let (mut lines, mut cursor) = newest(&reader, &sources, limit).unwrap();
            assert_eq!(texts(&lines), all[6 - limit..]);
            assert_eq!(after(&reader, &sources, cursor.clone(), 9).unwrap().0.len(), 0);
            for (n, line) in lines.iter().enumerate() {
                let rest = after(&reader, &sources, line.cursor.parse().unwrap(), 9).unwrap().0;
                assert_eq!(texts(&rest), all[6 - limit + n + 1..], "after {}", line.cursor);
            }
            // The same by pages from the very beginning.
            cursor = Cursor::default();
            let mut read = Vec::new();
            loop {
                (lines, cursor) = after(&reader, &sources, cursor, limit).unwrap();
                if lines.is_empty() {
                    break;
                }
                read.extend(texts(&lines).into_iter().map(str::to_owned));
            }
            assert_eq!(read.len(), 6);
            assert!(all.iter().all(|text| read.contains(&(*text).to_owned())));
        }
    }

    #[test]
    fn cursors_are_short_and_rubbish_is_refused() {
        let mut cursor = Cursor::default();
        assert_eq!(parse_cursor(Some("")).unwrap(), Some(cursor.clone()));
        for source in sources() {
            cursor.set(&source, 7);
        }
        assert_eq!(cursor.to_string().parse(), Ok(cursor.clone()));
        assert!(cursor.to_string().len() < 30);
        for bad in ["x", "1", ",", "0123456789:", "0123456789:-1", "0123456789:1,", "../../../..:1", "012345678G:1"] {
            assert_eq!(parse_cursor(Some(bad)).unwrap_err().status, 400, "{bad}");
        }
        cursor.keep(&sources()[..1]);
        assert_eq!(cursor.of(&sources()[1]), None);
        assert_eq!(cursor.of(&sources()[0]), Some(7));
    }
}

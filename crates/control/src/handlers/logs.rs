//! Lines of an environment's instances: several logs, each in its own order, merged by time.

use std::collections::VecDeque;
use std::io;

use domain::cursor::{InvalidCursor, LogCursor};
use domain::{EnvironmentId, Name};
use operations::Error;
use operations::logs::{LogLine, LogPage, Read, ReadRequest, Stream};
use runtime::LogReader;

use super::{environment_named, page_limit};
use crate::Control;
use crate::access::Admitted;
use crate::caller::Handle;
use crate::error::{io_error, store_error};
use crate::streams::CursorLine;

impl Handle<Read> for Control {
    async fn handle(&self, _: &Admitted, request: ReadRequest) -> Result<LogPage, Error> {
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

impl LogSource {
    pub(crate) fn instance(&self) -> &str {
        &self.instance
    }
}

pub(crate) fn parse_cursor(after: Option<&str>) -> Result<Option<LogCursor>, Error> {
    after.map(str::parse).transpose().map_err(|_: InvalidCursor| {
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
        cursor: Option<LogCursor>,
        limit: usize,
    ) -> Result<(Vec<CursorLine>, LogCursor), Error> {
        let reader = self.world().runtime.logs();
        let read = tokio::task::spawn_blocking(move || match cursor {
            Some(cursor) => after(&reader, &sources, cursor, limit),
            None => newest(&reader, &sources, limit),
        });
        let read = read.await.map_err(|_| Error::internal())?;
        read.map_err(|e| io_error("read", &self.world().layout.instances(), &e))
    }
}

type Lines = io::Result<(Vec<CursorLine>, LogCursor)>;

fn after(reader: &LogReader, sources: &[LogSource], mut cursor: LogCursor, limit: usize) -> Lines {
    let mut logs = Vec::with_capacity(sources.len());
    for source in sources {
        logs.push((source, reader.read(&source.instance, cursor.of(&source.instance), limit)?.into()));
    }
    cursor.keep(sources.iter().map(|source| source.instance.as_str()));
    let mut lines = merge(logs);
    lines.truncate(limit);
    Ok(number(lines, cursor))
}

fn newest(reader: &LogReader, sources: &[LogSource], limit: usize) -> Lines {
    let mut logs = Vec::with_capacity(sources.len());
    for source in sources {
        logs.push((source, reader.tail(&source.instance, limit)?.into()));
    }
    let mut cursor = LogCursor::default();
    // The first line may be number 1: what is before the oldest that was read counts as seen.
    for (source, lines) in &logs {
        let lines: &VecDeque<runtime::LogLine> = lines;
        cursor.set(&source.instance, lines.front().map_or(0, |line| line.seq.saturating_sub(1)));
    }
    let mut lines = merge(logs);
    let shown = lines.split_off(lines.len().saturating_sub(limit));
    for (source, line) in lines {
        cursor.set(&source.instance, line.seq);
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

fn number(lines: Vec<(&LogSource, runtime::LogLine)>, mut cursor: LogCursor) -> (Vec<CursorLine>, LogCursor) {
    let numbered = lines.into_iter().map(|(source, line)| {
        cursor.set(&source.instance, line.seq);
        CursorLine { cursor: cursor.to_string(), instance: source.instance.clone(), line: shown(source, line) }
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
    let log = Some(source.instance.clone());
    LogLine { seq, at, source: source.label.clone(), log, stream, text }
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
    fn a_new_instance_of_the_same_name_has_a_log_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let of = |instance: &str| LogSource { instance: instance.to_owned(), label: "web.0".to_owned() };
        let sources = [of("dep_old-web-0"), of("dep_new-web-0")];
        write(dir.path(), &sources[0], &[(1, 10), (2, 20)]);
        write(dir.path(), &sources[1], &[(1, 30)]);
        let (lines, _) = newest(&LogReader::new(dir.path().to_owned()), &sources, 9).unwrap();
        let shown: Vec<_> =
            lines.iter().map(|l| (l.line.source.as_str(), l.line.log.as_deref().unwrap(), l.line.seq)).collect();
        assert_eq!(
            shown,
            [("web.0", "dep_old-web-0", 1), ("web.0", "dep_old-web-0", 2), ("web.0", "dep_new-web-0", 1)]
        );
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
            cursor = LogCursor::default();
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
}

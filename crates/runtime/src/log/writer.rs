//! Writing an instance's log. Nothing here fails: output that can't be kept is
//! counted, and the log says so once it can be written again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{Stream, record};
use crate::spec::LogLimits;

/// Lines are gathered up to this many bytes before they are written.
const GATHER: usize = 64 * 1024;

pub(crate) struct LogWriter {
    dir: PathBuf,
    limits: LogLimits,
    file: Option<Current>,
    next: u64,
    /// Records that are not written yet.
    buffer: Vec<u8>,
    buffered_lines: u64,
    lost: Option<Lost>,
}

struct Current {
    file: File,
    length: u64,
    /// Number of its first record.
    first: u64,
}

struct Lost {
    lines: u64,
    why: io::Error,
}

impl LogWriter {
    /// Goes on behind what an earlier supervisor wrote.
    pub(crate) fn open(dir: PathBuf, limits: LogLimits) -> Self {
        repair(&dir.join("current")).ok();
        let newest = [Some(dir.join("current")), rotated(&dir).pop().map(|(_, path)| path)];
        let last = newest.iter().flatten().find_map(|path| last_seq(path)).unwrap_or(0);
        Self { dir, limits, file: None, next: last + 1, buffer: Vec::new(), buffered_lines: 0, lost: None }
    }

    /// Add a line; it is on its way to the disk after the next [`flush`](Self::flush).
    pub(crate) fn line(&mut self, stream: Stream, text: &[u8], at_ms: i64) {
        record::write(&mut self.buffer, self.next, at_ms, stream, text);
        self.next += 1;
        self.buffered_lines += 1;
        if self.buffer.len() >= GATHER {
            self.flush(at_ms);
        }
    }

    pub(crate) fn flush(&mut self, at_ms: i64) {
        if self.buffer.is_empty() && self.lost.is_none() {
            return;
        }
        let mut lost = self.lost.take();
        if let Some(Lost { lines, why }) = &lost {
            let note = format!("{lines} lines before this were lost: {why}");
            record::write(&mut self.buffer, self.next, at_ms, Stream::System, note.as_bytes());
            self.next += 1;
        }
        if let Err(why) = self.write_buffer() {
            let lines = self.buffered_lines + lost.take().map_or(0, |lost| lost.lines);
            self.lost = Some(Lost { lines, why });
        }
        self.buffered_lines = 0;
        self.buffer.clear();
        // One long line must not cost memory for ever.
        self.buffer.shrink_to(GATHER);
    }

    /// Something waits for a better time.
    pub(crate) fn has_losses(&self) -> bool {
        self.lost.is_some()
    }

    fn write_buffer(&mut self) -> io::Result<()> {
        let full =
            |current: &Current| current.length > 0 && current.length + self.buffer.len() as u64 > self.limits.bytes;
        if self.file.is_none() {
            self.file = Some(self.open_current()?);
        }
        if let Some(current) = self.file.take_if(|current| full(current)) {
            self.rotate(current)?;
            self.file = Some(self.open_current()?);
        }
        let Some(current) = self.file.as_mut() else { return Ok(()) };
        if let Err(why) = current.file.write_all(&self.buffer) {
            // Half a record would glue itself to the next one. (No file to speak of may be behind it: then no harm.)
            current.file.set_len(current.length).ok();
            // Opened anew next time: someone may have made room by deleting it.
            self.file = None;
            return Err(why);
        }
        current.length += self.buffer.len() as u64;
        Ok(())
    }

    fn open_current(&self) -> io::Result<Current> {
        let path = self.dir.join("current");
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&path)?;
        let length = file.metadata()?.len();
        let first = (length > 0).then(|| first_seq(&path)).flatten();
        let first = first.or_else(|| record::seq(self.buffer.split(|b| *b == b'\n').next()?)).unwrap_or(self.next);
        Ok(Current { file, length, first })
    }

    fn rotate(&self, current: Current) -> io::Result<()> {
        fs::rename(self.dir.join("current"), self.dir.join(format!("{:020}", current.first)))?;
        let rotated = rotated(&self.dir);
        let surplus = rotated.len().saturating_sub(self.limits.files as usize);
        for (_, path) in rotated.iter().take(surplus) {
            // One file too many is better than a lost line.
            fs::remove_file(path).ok();
        }
        Ok(())
    }
}

/// Full files by the number of their first record, oldest first.
pub(super) fn rotated(dir: &Path) -> Vec<(u64, PathBuf)> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let number = |path: PathBuf| Some((path.file_name()?.to_str()?.parse().ok()?, path));
    let mut found: Vec<_> = entries.flatten().filter_map(|e| number(e.path())).collect();
    found.sort();
    found
}

/// The number of the first record.
fn first_seq(path: &Path) -> Option<u64> {
    let mut head = Vec::new();
    File::open(path).ok()?.take(128).read_to_end(&mut head).ok()?;
    record::seq(head.split(|b| *b == b'\n').next()?)
}

/// The number of the last record: near the end, or wherever it is if the end is rubbish.
fn last_seq(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let window = 4 * crate::lines::LONGEST as u64;
    [length.saturating_sub(window), 0].into_iter().find_map(|from| {
        let mut tail = Vec::new();
        file.seek(SeekFrom::Start(from)).ok()?;
        Read::by_ref(&mut file).take(length).read_to_end(&mut tail).ok()?;
        tail.split(|b| *b == b'\n').rev().find_map(record::seq)
    })
}

/// Cuts off a record whose end was never written.
fn repair(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let from = length.saturating_sub(4 * crate::lines::LONGEST as u64);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(from))?;
    Read::by_ref(&mut file).take(length).read_to_end(&mut tail)?;
    let torn = tail.iter().rev().take_while(|b| **b != b'\n').count() as u64;
    if torn > 0 { file.set_len(length - torn) } else { Ok(()) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::log::LogReader;

    fn instance() -> (tempfile::TempDir, PathBuf, LogReader) {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("i").join("log");
        fs::create_dir_all(&log).unwrap();
        let reader = LogReader::new(dir.path().to_owned());
        (dir, log, reader)
    }

    #[test]
    fn numbers_go_on_after_a_restart_and_a_torn_line() {
        let (_dir, log, reader) = instance();
        let limits = LogLimits::default();
        let mut writer = LogWriter::open(log.clone(), limits);
        writer.line(Stream::Stdout, b"one", 1);
        writer.line(Stream::Stdout, b"two", 1);
        writer.flush(1);
        let mut file = OpenOptions::new().append(true).open(log.join("current")).unwrap();
        file.write_all(b"3\t1\to\ttor").unwrap();
        assert_eq!(reader.read("i", None, 10).unwrap().len(), 2, "a torn line isn't shown");

        let mut writer = LogWriter::open(log, limits);
        writer.line(Stream::System, b"three", 2);
        writer.flush(2);
        let lines = reader.read("i", None, 10).unwrap();
        let texts: Vec<_> = lines.iter().map(|l| (l.seq, l.text.as_str())).collect();
        assert_eq!(texts, [(1, "one"), (2, "two"), (3, "three")]);
    }

    #[test]
    fn rotation_keeps_the_newest_and_cursors_work_across_files() {
        let (_dir, log, reader) = instance();
        let mut writer = LogWriter::open(log.clone(), LogLimits { bytes: 1000, files: 3 });
        for i in 1..=1000 {
            writer.line(Stream::Stdout, format!("line {i}").as_bytes(), i);
            writer.flush(i);
        }
        assert_eq!(rotated(&log).len(), 3);
        for entry in fs::read_dir(&log).unwrap() {
            assert!(entry.unwrap().metadata().unwrap().len() <= 1000);
        }
        let all = reader.read("i", None, usize::MAX).unwrap();
        assert_eq!(all.last().unwrap().seq, 1000);
        assert!(all.len() > 100 && all.windows(2).all(|w| w[0].seq + 1 == w[1].seq));
        for after in all[0].seq..=1000 {
            let want: Vec<_> = all.iter().filter(|l| l.seq > after).take(7).cloned().collect();
            assert_eq!(reader.read("i", Some(after), 7).unwrap(), want, "after {after}");
        }
        for n in [0, 1, 5, 60, 100_000] {
            assert_eq!(reader.tail("i", n).unwrap(), all[all.len().saturating_sub(n)..], "tail {n}");
        }
        let mut again = LogWriter::open(log, LogLimits { bytes: 1000, files: 3 });
        again.line(Stream::Stdout, b"x", 1);
        again.flush(1);
        assert_eq!(reader.tail("i", 1).unwrap()[0].seq, 1001);
    }

    #[test]
    fn a_full_disk_loses_lines_and_says_so_later() {
        let (_dir, log, reader) = instance();
        // The device that is always full.
        std::os::unix::fs::symlink("/dev/full", log.join("current")).unwrap();
        let mut writer = LogWriter::open(log.clone(), LogLimits::default());
        for _ in 0..3 {
            writer.line(Stream::Stdout, b"lost", 1);
            writer.flush(1);
        }
        assert!(writer.has_losses());
        fs::remove_file(log.join("current")).unwrap();
        writer.line(Stream::Stdout, b"kept", 2);
        writer.flush(2);
        assert!(!writer.has_losses());
        let lines = reader.read("i", None, 10).unwrap();
        assert_eq!(lines[0].text, "kept");
        assert_eq!(lines[1].stream, Stream::System);
        assert!(lines[1].text.starts_with("3 lines before this were lost: No space left"), "{}", lines[1].text);
    }
}

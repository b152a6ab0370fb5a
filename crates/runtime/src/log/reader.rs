//! Reading logs while they are written and rotated.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Follower, LogLine, record, writer};

/// Reads the logs of the instances of one runtime; the instances need not run.
/// The calls block for as long as the disk takes.
#[derive(Debug, Clone)]
pub struct LogReader {
    dir: PathBuf,
}

impl LogReader {
    /// `dir` is that of the runtime.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// Names of the instances that have logs, running or not.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(&self.dir) else { return Vec::new() };
        let mut names: Vec<_> = entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
        names.retain(|name| is_name(name) && self.log(name).is_dir());
        names.sort();
        names
    }

    /// At most `limit` lines whose number is above `after`; from the oldest kept for `None`.
    /// Nothing for an instance that is not there.
    pub fn read(&self, name: &str, after: Option<u64>, limit: usize) -> io::Result<Vec<LogLine>> {
        let mut lines = Vec::new();
        if !is_name(name) || limit == 0 {
            return Ok(lines);
        }
        let mut after = after.unwrap_or(0);
        let files = open_all(&self.log(name))?;
        // The last file that begins at or before the first wanted line; without one, the oldest.
        let begin = files.iter().rposition(|f| f.first <= after.saturating_add(1)).unwrap_or(0);
        for Opened { mut file, .. } in files.into_iter().skip(begin) {
            let from = seek_after(&mut file, after)?;
            file.seek(SeekFrom::Start(from))?;
            let mut input = BufReader::with_capacity(64 * 1024, file);
            while let Some(line) = next_record(&mut input)? {
                // A file that is renamed while we look is met twice; its lines count once.
                if let Some(line) = record::read(&line).filter(|l| l.seq > after) {
                    after = line.seq;
                    lines.push(line);
                    if lines.len() == limit {
                        return Ok(lines);
                    }
                }
            }
        }
        Ok(lines)
    }

    /// The last `n` lines, oldest first.
    pub fn tail(&self, name: &str, n: usize) -> io::Result<Vec<LogLine>> {
        let mut lines: Vec<LogLine> = Vec::new();
        if !is_name(name) {
            return Ok(lines);
        }
        for Opened { mut file, .. } in open_all(&self.log(name))?.into_iter().rev() {
            if lines.len() >= n {
                break;
            }
            let oldest = lines.first().map_or(u64::MAX, |l| l.seq);
            let mut older = last_records(&mut file, n - lines.len(), oldest)?;
            older.append(&mut lines);
            lines = older;
        }
        Ok(lines)
    }

    /// Goes on from `after` with every line as it is written.
    pub fn follow(&self, name: &str, after: Option<u64>) -> Follower {
        Follower::new(self.clone(), name, after)
    }

    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.dir.join(name).join("log")
    }
}

/// A name from outside must not lead out of the folder.
pub(crate) fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\0'])
}

struct Opened {
    first: u64,
    file: File,
}

/// All files of a log, oldest first. `current` is opened before the others are listed: if it
/// is rotated in between it is in the list as well, and never missing from both.
fn open_all(log: &Path) -> io::Result<Vec<Opened>> {
    let current = match File::open(log.join("current")) {
        Ok(file) => Some(file),
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(e),
    };
    let mut files = Vec::new();
    for (first, path) in writer::rotated(log) {
        match File::open(path) {
            Ok(file) => files.push(Opened { first, file }),
            // Deleted by a rotation just now.
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    if let Some(file) = current {
        let mut input = BufReader::new(&file);
        let first = next_record(&mut input)?.as_deref().and_then(record::seq);
        // Empty or rubbish at its beginning: behind all others, whatever it holds.
        let newest = files.last().map_or(1, |f| f.first + 1);
        files.push(Opened { first: first.unwrap_or(newest), file });
    }
    Ok(files)
}

/// A whole record without its LF; `None` at the end, also before one whose end isn't written yet.
fn next_record(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input.read_until(b'\n', &mut line)?;
    Ok((line.pop() == Some(b'\n')).then_some(line))
}

/// A place at or shortly before the first record whose number is above `after`, by bisection.
fn seek_after(file: &mut File, after: u64) -> io::Result<u64> {
    let (mut low, mut high) = (0, file.metadata()?.len());
    // `low` always is the beginning of a record that isn't beyond the wanted one.
    while high - low > 64 * 1024 {
        let middle = low + (high - low) / 2;
        match record_at(file, middle)? {
            Some((start, seq)) if seq <= after && start < high => low = start,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// Beginning and number of the first record that begins behind `position`.
fn record_at(file: &mut File, position: u64) -> io::Result<Option<(u64, u64)>> {
    file.seek(SeekFrom::Start(position))?;
    let mut input = BufReader::new(&*file);
    let mut start = position + input.skip_until(b'\n')? as u64;
    while let Some(record) = next_record(&mut input)? {
        if let Some(seq) = record::seq(&record) {
            return Ok(Some((start, seq)));
        }
        start += record.len() as u64 + 1;
    }
    Ok(None)
}

/// Up to `n` of a file's last records whose number is below `below`.
fn last_records(file: &mut File, n: usize, below: u64) -> io::Result<Vec<LogLine>> {
    const BLOCK: u64 = 64 * 1024;
    let mut start = file.metadata()?.len();
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        // The first piece may be half a record, unless it is the file's beginning.
        let skip = if start == 0 { 0 } else { bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |i| i + 1) };
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1).max(skip);
        let records = || bytes[skip..whole].split(|b| *b == b'\n').filter_map(record::read).filter(|l| l.seq < below);
        let count = records().count();
        if count >= n || start == 0 {
            return Ok(records().skip(count.saturating_sub(n)).collect());
        }
        // Twice as far back each time, so that long tails don't take quadratic time.
        let step = BLOCK.max(bytes.len() as u64).min(start);
        start -= step;
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        Read::by_ref(file).take(step).read_to_end(&mut block)?;
        block.append(&mut bytes);
        bytes = block;
    }
}

//! Reads what deployments printed. Lines are numbered in the order of the file, so that any of them is found by
//! bisection: a page in the middle of 64 MiB costs as much as the first one.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use operations::logs::LogLine;
use serde::Deserialize;

/// Longer than any line: 64 KiB of text, each byte of which JSON may write as six.
const LONGEST: u64 = 512 * 1024;
/// A stretch of this length is read from its beginning, as that is quicker than to halve it.
const NEAR: u64 = 64 * 1024;

/// Where to stop reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    pub lines: usize,
    /// Of text; the line that goes beyond is the last one.
    pub bytes: usize,
}

impl Most {
    pub(crate) fn lines(lines: usize) -> Self {
        Self { lines, bytes: usize::MAX }
    }
}

/// Reads a deployment's output in order. The calls block for as long as the disk takes.
#[derive(Clone)]
pub(crate) struct Reader {
    path: PathBuf,
    /// Where the next line begins, once that was looked for.
    offset: Option<u64>,
}

impl Reader {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, offset: None }
    }

    /// The next lines with a number above `after`, which never is less than in the call before; none for now if that is
    /// all there is.
    pub(crate) fn read(&mut self, after: Option<u64>, most: Most) -> io::Result<Vec<LogLine>> {
        let Some(mut file) = open(&self.path)? else { return Ok(Vec::new()) };
        let mut offset = match (self.offset, after) {
            (Some(offset), _) => offset,
            (None, None) => 0,
            (None, Some(after)) => find(&mut file, after)?,
        };
        file.seek(SeekFrom::Start(offset))?;
        let (mut input, mut line, mut lines, mut bytes) = (BufReader::new(file), Vec::new(), Vec::new(), 0);
        while lines.len() < most.lines && bytes < most.bytes && next(&mut input, &mut line)? {
            offset += line.len() as u64;
            if let Ok(parsed) = serde_json::from_slice::<LogLine>(&line)
                && after.is_none_or(|after| parsed.seq > after)
            {
                bytes += parsed.text.len();
                lines.push(parsed);
            }
        }
        self.offset = Some(offset);
        Ok(lines)
    }

    /// Goes to a line that begins in the last `bytes` of the file, and says which number is before it.
    pub(crate) fn near_end(&mut self, bytes: u64) -> io::Result<u64> {
        self.offset = Some(0);
        let Some(mut file) = open(&self.path)? else { return Ok(0) };
        let length = file.metadata()?.len();
        if length <= bytes {
            return Ok(0);
        }
        let Some((offset, seq)) = line_behind(&mut file, length - bytes)? else { return Ok(0) };
        self.offset = Some(offset);
        Ok(seq.saturating_sub(1))
    }
}

/// The last `limit` lines, of those with a number below `before`; oldest first.
pub(crate) fn last_lines(path: &Path, before: Option<u64>, limit: usize) -> io::Result<Vec<LogLine>> {
    let Some(mut file) = open(path)? else { return Ok(Vec::new()) };
    let mut start = match before {
        Some(before) => begin_of(&mut file, before)?,
        None => file.metadata()?.len(),
    };
    let mut bytes: Vec<u8> = Vec::new();
    loop {
        // What is before the first line end may be half a line, and what is behind the last one is.
        let ends = |from: usize| bytes[from..].iter().position(|byte| *byte == b'\n').map(|i| from + i + 1);
        let first = if start == 0 { 0 } else { ends(0).unwrap_or(bytes.len()) };
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |i| i + 1).max(first);
        let count = bytes[first..whole].iter().filter(|byte| **byte == b'\n').count();
        if count >= limit || start == 0 {
            let lines = bytes[first..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            let parsed = lines.skip(count.saturating_sub(limit)).filter_map(|line| serde_json::from_slice(line).ok());
            return Ok(parsed.collect());
        }
        // Twice as far back each time, so that many lines don't take quadratic time.
        let step = NEAR.max(bytes.len() as u64).min(start);
        start -= step;
        file.seek(SeekFrom::Start(start))?;
        let mut block = Vec::new();
        Read::by_ref(&mut file).take(step).read_to_end(&mut block)?;
        block.append(&mut bytes);
        bytes = block;
    }
}

/// The last line of a file of output; reads its end alone.
pub(crate) fn last_line(path: &Path) -> Option<LogLine> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST))).ok()?;
    let mut end = Vec::new();
    Read::take(file, LONGEST).read_to_end(&mut end).ok()?;
    let lines = end.split(|byte| *byte == b'\n').rev();
    lines.filter(|line| !line.is_empty()).find_map(|line| serde_json::from_slice(line).ok())
}

/// Where nothing was printed there is no file.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Reads a line with its end; `false` at the end, also before a line whose end isn't written yet.
fn next(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    input.read_until(b'\n', line)?;
    Ok(line.ends_with(b"\n"))
}

#[derive(Deserialize)]
struct Numbered {
    seq: u64,
}

/// A line's beginning at or shortly before the first one with a number above `after`, by bisection.
fn find(file: &mut File, after: u64) -> io::Result<u64> {
    let (mut low, mut high) = (0, file.metadata()?.len());
    // Nothing beyond `after` begins before `low`, and nothing up to it at `high` or behind.
    while high - low > NEAR {
        let middle = low + (high - low) / 2;
        match line_behind(file, middle)? {
            Some((start, seq)) if seq <= after && start < high => low = start,
            _ => high = middle,
        }
    }
    Ok(low)
}

/// The beginning of the first line that is not below `number`; the file's end, or that of its last whole line, without one.
fn begin_of(file: &mut File, number: u64) -> io::Result<u64> {
    let mut start = find(file, number.saturating_sub(1))?;
    file.seek(SeekFrom::Start(start))?;
    let (mut input, mut line) = (BufReader::new(&*file), Vec::new());
    while next(&mut input, &mut line)? {
        if serde_json::from_slice(&line).is_ok_and(|Numbered { seq }| seq >= number) {
            break;
        }
        start += line.len() as u64;
    }
    Ok(start)
}

/// Beginning and number of the first line that begins behind `position`.
fn line_behind(file: &mut File, position: u64) -> io::Result<Option<(u64, u64)>> {
    file.seek(SeekFrom::Start(position))?;
    let mut input = BufReader::new(&*file);
    let mut start = position + input.skip_until(b'\n')? as u64;
    let mut line = Vec::new();
    while next(&mut input, &mut line)? {
        if let Ok(Numbered { seq }) = serde_json::from_slice(&line) {
            return Ok(Some((start, seq)));
        }
        start += line.len() as u64;
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::io::Write;

    use operations::logs::Stream;

    use super::*;

    /// A file with this many lines, of very different lengths, and half a line at its end.
    fn written(path: &Path, count: u64) {
        let mut file = std::io::BufWriter::new(File::create(path).unwrap());
        for seq in 1..=count {
            let text = "ü".repeat(if seq % 500 == 0 { 60_000 } else { (seq % 90) as usize });
            let at = chrono::DateTime::from_timestamp_micros(1_700_000_000_000_000 + seq as i64).unwrap();
            let line = LogLine { seq, at, source: "building".to_owned(), log: None, stream: Stream::Stdout, text };
            serde_json::to_writer(&mut file, &line).unwrap();
            file.write_all(b"\n").unwrap();
        }
        file.write_all(b"{\"seq\":999999,\"at\"").unwrap();
        file.flush().unwrap();
    }

    fn numbers(lines: &[LogLine]) -> Vec<u64> {
        lines.iter().map(|line| line.seq).collect()
    }

    #[test]
    fn any_line_is_found_from_both_sides() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        let count = 5_000;
        written(&path, count);
        for after in [0, 1, 498, 499, 500, 501, 2_499, 2_500, 3_333, 4_998, 4_999, 5_000, 5_001, u64::MAX] {
            let lines = Reader::new(path.clone()).read(Some(after), Most::lines(3)).unwrap();
            let expected: Vec<u64> = (after.saturating_add(1)..=count).take(3).collect();
            assert_eq!(numbers(&lines), expected, "after {after}");

            let last = last_lines(&path, Some(after), 3).unwrap();
            let end = after.min(count + 1);
            let expected: Vec<u64> = (end.saturating_sub(3).max(1)..end).collect();
            assert_eq!(numbers(&last), expected, "before {after}");
        }
        assert_eq!(numbers(&last_lines(&path, None, 4).unwrap()), [4_997, 4_998, 4_999, 5_000]);
        assert_eq!(numbers(&last_lines(&path, None, 9_999).unwrap()), (1..=count).collect::<Vec<_>>());
        assert_eq!(last_line(&path).unwrap().seq, count);
    }

    #[test]
    fn reading_goes_on_where_it_was_and_stops_at_either_limit() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        written(&path, 1_200);
        let (mut reader, mut seen) = (Reader::new(path.clone()), Vec::new());
        let most = Most { lines: 100, bytes: 100_000 };
        loop {
            let lines = reader.read(seen.last().copied(), most).unwrap();
            if lines.is_empty() {
                break;
            }
            assert!(lines.len() <= 100);
            let all_but_last: usize = lines.iter().rev().skip(1).map(|line| line.text.len()).sum();
            assert!(all_but_last < 100_000);
            seen.extend(numbers(&lines));
        }
        assert_eq!(seen, (1..=1_200).collect::<Vec<_>>());
        // The rest of the line that was cut.
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(b":\"2026-11-21T10:00:00Z\",\"source\":\"a\",\"stream\":\"stdout\",\"text\":\"\"}\n").unwrap();
        assert_eq!(numbers(&reader.read(seen.last().copied(), most).unwrap()), [999_999]);
    }

    #[test]
    fn near_the_end_is_a_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("output");
        assert_eq!(Reader::new(path.clone()).near_end(100).unwrap(), 0);
        assert!(last_lines(&path, None, 9).unwrap().is_empty());
        written(&path, 900);
        for bytes in [20, 300, 1_000, 50_000, 300_000, u64::MAX] {
            let mut reader = Reader::new(path.clone());
            let before = reader.near_end(bytes).unwrap();
            let lines = reader.read(Some(before), Most::lines(usize::MAX)).unwrap();
            assert_eq!(numbers(&lines), (before + 1..=900).collect::<Vec<_>>(), "{bytes}");
            assert!(bytes < u64::MAX || before == 0);
        }
    }
}

//! One line on disk: `number TAB unix-milliseconds TAB o|e|s TAB bytes LF`.

use std::io::Write;

use chrono::DateTime;

use super::{LogLine, Stream};

pub(super) fn write(out: &mut Vec<u8>, seq: u64, at_ms: i64, stream: Stream, text: &[u8]) {
    let kind = match stream {
        Stream::Stdout => 'o',
        Stream::Stderr => 'e',
        Stream::System => 's',
    };
    // Writing to memory can't fail.
    write!(out, "{seq}\t{at_ms}\t{kind}\t").ok();
    out.extend_from_slice(text);
    out.push(b'\n');
}

/// The number of a record; `None` if this is none (a torn one, after a power cut).
pub(super) fn seq(record: &[u8]) -> Option<u64> {
    fields(record).map(|(seq, ..)| seq)
}

/// `record` is without its LF.
pub(super) fn read(record: &[u8]) -> Option<LogLine> {
    let (seq, at_ms, stream, text) = fields(record)?;
    let text = String::from_utf8_lossy(text).into_owned();
    Some(LogLine { seq, at: DateTime::from_timestamp_millis(at_ms)?, stream, text })
}

fn fields(record: &[u8]) -> Option<(u64, i64, Stream, &[u8])> {
    let mut fields = record.splitn(4, |b| *b == b'\t');
    let seq = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let at_ms = std::str::from_utf8(fields.next()?).ok()?.parse().ok()?;
    let stream = match fields.next()? {
        b"o" => Stream::Stdout,
        b"e" => Stream::Stderr,
        b"s" => Stream::System,
        _ => return None,
    };
    Some((seq, at_ms, stream, fields.next()?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_survive_and_rubbish_is_no_record() {
        let mut out = Vec::new();
        write(&mut out, 7, 1_700_000_000_123, Stream::Stderr, b"a\tb \xff");
        let line = read(out.strip_suffix(b"\n").unwrap()).unwrap();
        assert_eq!((line.seq, line.at.timestamp_millis(), line.stream), (7, 1_700_000_000_123, Stream::Stderr));
        assert_eq!(line.text, "a\tb \u{fffd}");
        for rubbish in [&b""[..], b"\0\0\0", b"7", b"7\t1", b"7\t1\tx\ty", b"x\t1\to\ty"] {
            assert!(read(rubbish).is_none() && seq(rubbish).is_none());
        }
    }
}
